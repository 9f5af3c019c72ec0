/** Calls of the service: its metrics and health, and the admin's routes with the keys that were entered. */

import { enterKey } from "../common/key-dialog.js";

const PATIENCE_MS = 8_000;
const LONG_PATIENCE_MS = 150_000; // for weights that are loaded

/** Any reason for the lack of an answer, in a sentence; `isKey`: for want of a right key. */
export class SourceError extends Error {
  constructor(message, { isKey = false } = {}) {
    super(message);
    this.isKey = isKey;
  }
}

export class Source {
  #slot;
  #title;
  #hint;

  /** `slot` names where the browser keeps the key until the tab is closed; the others are the dialog's words. */
  constructor({ slot, title, hint }) {
    this.#slot = slot;
    this.#title = title;
    this.#hint = hint;
  }

  get hasKey() {
    return sessionStorage.getItem(this.#slot) !== null;
  }

  /** Asks for the key; whether one was entered. */
  async enter() {
    const key = await enterKey(this.#title, this.#hint);
    if (key) sessionStorage.setItem(this.#slot, key);
    return key !== null;
  }

  forget() {
    sessionStorage.removeItem(this.#slot);
  }

  /** The answer as JSON. Throws SourceError. */
  async json(path, options) {
    return JSON.parse(await this.text(path, options));
  }

  /** The answer's text. Throws SourceError. */
  async text(path, { method = "GET", long = false } = {}) {
    const key = sessionStorage.getItem(this.#slot);
    const signal = AbortSignal.timeout(long ? LONG_PATIENCE_MS : PATIENCE_MS);
    let response, body;
    try {
      response = await fetch(path, { method, cache: "no-store", signal, headers: key ? { "X-API-Key": key } : {} });
      body = await response.text();
    } catch {
      throw new SourceError("The service does not answer right now. This page keeps trying.");
    }
    if (response.ok) return body;
    throw new SourceError(sentence(body, response.status), { isKey: [401, 403].includes(response.status) });
  }
}

function sentence(body, status) {
  const fallback = `The service gave an answer that cannot be used (status ${status}).`;
  try {
    return JSON.parse(body).error.message || fallback;
  } catch {
    return fallback;
  }
}
