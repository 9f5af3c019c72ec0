/** A question about one picture or several with its state: waiting, working, pausing, done or failed. */

import { ask } from "./service.js";

const ATTEMPTS = 5;
const BUSY = [429, 503]; // worth a retry, if the answer has Retry-After
const HOPELESS = ["weights_unavailable"]; // retries would only delay the message: these need a change by the operator

export class Job {
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
        if (signal.aborted) return; // dropped while the answer arrived
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
