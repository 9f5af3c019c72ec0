/** The API key that a service may require: entered once, sent with every request, kept until the tab is closed. */

const SLOT = "looksee-key";

let entered = null; // while the dialog is open: a promise
let declined = false;

/** The header that carries the key, if there is one. */
export function credentials() {
  const key = sessionStorage.getItem(SLOT);
  return key ? { "X-API-Key": key } : {};
}

/**
 * Whether a request that was refused with these credentials can be made again with others; shows the dialog for
 * them. After "Not now", only a request that a person started shows the dialog again.
 */
export async function renewed(sent, byPerson) {
  if (sent["X-API-Key"] !== credentials()["X-API-Key"]) return true; // another request has asked meanwhile
  if (declined && !byPerson) return false;
  entered ??= enter().finally(() => (entered = null));
  return entered;
}

function enter() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "key-title");
  dialog.innerHTML = `
    <form method="dialog" class="sheet-inside">
      <h2 id="key-title">This service asks for a key</h2>
      <p class="field">
        <label for="key">Key</label>
        <input id="key" type="text" autocomplete="off" autocapitalize="off" spellcheck="false" required autofocus>
      </p>
      <p class="hint">You get one from whoever runs the service. It is kept until this tab is closed.</p>
      <div class="buttons">
        <button class="primary" value="use">Use this key</button>
        <button value="cancel" formnovalidate>Not now</button>
      </div>
    </form>`;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const key = dialog.querySelector("input").value.trim();
      // A header takes no other characters, and keys have none.
      declined = dialog.returnValue !== "use" || !/^[\x20-\x7e]+$/.test(key);
      if (!declined) sessionStorage.setItem(SLOT, key);
      dialog.remove();
      resolve(!declined);
    });
  });
}
