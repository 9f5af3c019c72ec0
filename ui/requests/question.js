/** One question about one picture or several, and how far it has come: waiting, working, pausing, done or failed. */

import { ask } from "./service.js";

const ATTEMPTS = 5;
const BUSY = [429, 503]; // answers that promise a better one later, if they say when
const HOPELESS = ["weights_unavailable"]; // trying by itself would only hide for minutes what a person has to mend

export class Asking {
  state = "waiting";
  answer = null;
  problem = null;
  seconds = null;
  began = null; // when the attempt under way began, in milliseconds of the page's clock

  /** `question`: `{kind, model, prompt, flag, length, words}`. */
  constructor(question, pictures) {
    this.question = question;
    this.pictures = pictures;
  }

  get names() {
    return this.pictures.map((picture) => picture.name);
  }

  get settled() {
    return this.state === "done" || this.state === "failed";
  }

  /** Whether this is `question` about exactly `pictures`, in their order. */
  is(question, pictures) {
    const parts = ["kind", "model", "prompt", "flag", "length", "words"];
    const same = parts.every((part) => this.question[part] === question[part]);
    return same && this.about(pictures);
  }

  about(pictures) {
    return pictures.length === this.pictures.length && pictures.every((one, place) => one === this.pictures[place]);
  }

  /** Ask the service until it answers, refuses, or was busy too often. Calls `changed` at every step. */
  async run(signal, changed) {
    const files = this.pictures.map((picture) => picture.file);
    for (let attempt = 1; ; attempt += 1) {
      const began = performance.now();
      this.#become("working", { began }, changed);
      try {
        const answer = await ask(this.question, files, signal);
        if (signal.aborted) return; // the answer to a question that was dropped in that very moment
        this.#become("done", { answer, seconds: (performance.now() - began) / 1000 }, changed);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!promising(error) || attempt === ATTEMPTS) {
          this.#become("failed", { problem: error }, changed);
          return;
        }
        this.#become("pausing", { problem: error }, changed);
      }
      await pause(this.problem.retryAfter, signal);
      if (signal.aborted) return;
    }
  }

  #become(state, news, changed) {
    Object.assign(this, { state, answer: null, problem: null, seconds: null, began: null }, news);
    changed();
  }
}

function promising(error) {
  return BUSY.includes(error.status) && error.retryAfter !== null && !HOPELESS.includes(error.code);
}

/** Wait, but no longer than until `signal` fires. */
function pause(seconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
