/** The tags of a caption as chips. Many are folded behind a button. */

const FEW = 10;

/** Show `tags` in `list`; `name`: of what they are the tags. */
export function showTags(list, tags, name, most = FEW) {
  const shown = tags.length <= most + 1 ? tags : tags.slice(0, most); // never a button for a single tag
  list.replaceChildren(...shown.map((tag) => chip(tag.replaceAll("_", " "))));
  list.hidden = tags.length === 0;
  if (shown.length < tags.length) list.append(chip(more(list, tags, name, tags.length - shown.length)));
}

function more(list, tags, name, count) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = `+${count}`;
  button.setAttribute("aria-label", `Show ${count} more tags of ${name}`);
  button.addEventListener("click", () => {
    showTags(list, tags, name, Infinity);
    list.focus(); // the button that had it is gone
  });
  return button;
}

/** `content`: an element, or text, which stays text. */
function chip(content) {
  const element = document.createElement("li");
  element.append(content);
  return element;
}
