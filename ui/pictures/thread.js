/** The questions about one picture with their answers, and the field for the next one. */

import { Outcome } from "../answers/outcome.js";

export class Thread {
  #entries = new Map(); // Job -> {element, outcome}
  #picture;
  #acts;
  #templates;

  /** `acts`: those of an Outcome, and `ask(picture, words)`. `templates`: `{entry, outcome}`. */
  constructor(element, picture, templates, acts) {
    this.element = element;
    this.#picture = picture;
    this.#templates = templates;
    this.#acts = acts;
    this.#list.setAttribute("aria-label", `Questions about ${picture.name}`);
    const field = element.querySelector("input");
    field.setAttribute("aria-label", `Ask about ${picture.name}`);
    element.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      const words = field.value.trim();
      if (!words) return;
      field.value = "";
      acts.ask(picture, words);
    });
  }

  get #list() {
    return this.element.querySelector("ol");
  }

  update() {
    const there = new Set(this.#picture.thread);
    for (const [job, { element }] of this.#entries) {
      if (there.has(job)) continue;
      element.remove();
      this.#entries.delete(job);
    }
    for (const job of this.#picture.thread) {
      if (!this.#entries.has(job)) this.#add(job);
      this.#entries.get(job).outcome.show(job, `“${job.question.words}” about ${this.#picture.name}`);
    }
    this.#list.hidden = there.size === 0;
  }

  tick() {
    for (const [job, { outcome }] of this.#entries) if (!job.settled) outcome.tick();
  }

  #add(job) {
    const element = this.#templates.entry.content.firstElementChild.cloneNode(true);
    element.querySelector(".words").textContent = job.question.words;
    const outcome = new Outcome(this.#templates.outcome, this.#acts);
    element.append(outcome.element);
    this.#entries.set(job, { element, outcome });
    // A retried question takes the place of the failed one.
    const next = this.#picture.thread[this.#picture.thread.indexOf(job) + 1];
    this.#list.insertBefore(element, this.#entries.get(next)?.element ?? null);
    this.#list.scrollTop = this.#list.scrollHeight;
  }
}
