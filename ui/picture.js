/** One picture and how far it has come: waiting, working, pausing, done or failed. */

import { caption } from "./service.js";

const ATTEMPTS = 5;
const BUSY = [429, 503]; // answers that promise a better one later, if they say when

export class Picture {
  state = "waiting";
  question = null; // {model, prompt} of the last asking
  answer = null;
  problem = null;
  seconds = null;

  constructor(file) {
    this.file = file;
  }

  get name() {
    return this.file.name;
  }

  get settled() {
    return this.state === "done" || this.state === "failed";
  }

  /** Back to the start, with a new question. */
  renew(question) {
    Object.assign(this, { state: "waiting", question, answer: null, problem: null, seconds: null });
  }

  /** Ask the service until it answers, refuses, or was busy too often. Calls `changed` at every step. */
  async ask(signal, changed) {
    for (let attempt = 1; ; attempt += 1) {
      this.#become("working", {}, changed);
      const started = performance.now();
      try {
        const answer = await caption(this.file, this.question, signal);
        if (signal.aborted) return; // the answer to a question that was dropped in that very moment
        this.#become("done", { answer, seconds: (performance.now() - started) / 1000 }, changed);
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
    Object.assign(this, { state, answer: null, problem: null, seconds: null }, news);
    changed();
  }
}

function promising(error) {
  return BUSY.includes(error.status) && error.retryAfter !== null;
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
