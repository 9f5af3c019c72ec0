/** The API key that a service may require: entered once, sent with every request, kept until the tab is closed. */

import { enterKey } from "../common/key-dialog.js";

const SLOT = "looksee-key";
const TITLE = "This service asks for a key";
const HINT = "You get one from whoever runs the service. It is kept until this tab is closed.";

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

async function enter() {
  const key = await enterKey(TITLE, HINT);
  declined = key === null;
  if (!declined) sessionStorage.setItem(SLOT, key);
  return !declined;
}
