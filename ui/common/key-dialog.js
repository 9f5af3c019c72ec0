/** A dialog that asks for a key. */

/** The key that was entered, or null. */
export function enterKey(title, hint) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "key-title");
  dialog.innerHTML = `
    <form method="dialog" class="sheet-inside">
      <h2 id="key-title"></h2>
      <p class="field">
        <label for="key">Key</label>
        <input id="key" type="text" autocomplete="off" autocapitalize="off" spellcheck="false" required autofocus>
      </p>
      <p class="hint"></p>
      <div class="buttons">
        <button class="primary" value="use">Use this key</button>
        <button value="cancel" formnovalidate>Not now</button>
      </div>
    </form>`;
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector(".hint").textContent = hint;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const key = dialog.querySelector("input").value.trim();
      dialog.remove();
      // A header takes no other characters, and keys have none.
      resolve(dialog.returnValue === "use" && /^[\x20-\x7e]+$/.test(key) ? key : null);
    });
  });
}
