/** The ways to add pictures: drop, paste, or the file dialog. Each calls `receive(files)`. */

const NAMED_LIKE_PICTURE = /\.(jpe?g?|jfif|a?png|webp|gif|bmp|dib|tiff?|avif|hei[cf])$/i;

export function onDrop(veil, receive) {
  addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault(); // else the browser would open the file in place of the page
    event.dataTransfer.dropEffect = "copy";
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true; // left the window, not just one element for another
  });
  addEventListener("drop", async (event) => {
    veil.hidden = true;
    if (!carriesFiles(event)) return;
    event.preventDefault();
    receive(await dropped(event.dataTransfer));
  });
}

export function onPaste(receive) {
  let count = 0;
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return; // text, for a text field
    event.preventDefault();
    receive(files.map((file) => (file.name === "image.png" ? renamed(file, `pasted-${(count += 1)}.png`) : file)));
  });
}

export function onChoose(buttons, input, receive) {
  for (const button of buttons) button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    receive([...input.files]);
    input.value = ""; // so that choosing the same file again is a change
  });
}

function carriesFiles(event) {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

function renamed(file, name) {
  return new File([file], name, { type: file.type });
}

/** The dropped files; of a folder, whatever in it is named like a picture. */
async function dropped(transfer) {
  // Both lists are emptied once this event is over, so everything is taken out before the first await.
  const taken = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => ({ file: item.getAsFile(), entry: item.webkitGetAsEntry?.() }));
  const lists = await Promise.all(taken.map(({ file, entry }) => (entry?.isDirectory ? within(entry) : [file])));
  return lists.flat().filter(Boolean);
}

async function within(folder) {
  const entries = (await listed(folder)).sort((one, other) => one.name.localeCompare(other.name));
  const lists = await Promise.all(
    entries.map((entry) => {
      if (entry.isDirectory) return within(entry);
      return NAMED_LIKE_PICTURE.test(entry.name) ? [opened(entry)] : [];
    }),
  );
  return Promise.all(lists.flat());
}

async function listed(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    // A reader hands out its entries in portions; an empty one is the end. What cannot be read counts as empty.
    const portion = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (portion.length === 0) return entries;
    entries.push(...portion);
  }
}

function opened(entry) {
  return new Promise((resolve) => entry.file(resolve, () => resolve(null)));
}
