/** The questions about one picture with their answers, and the field for the next one. */

import { Outcome } from "../answers/outcome.js";

export class Thread {
  #entries = new Map(); // Asking -> {element, outcome}
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
    for (const [asking, { element }] of this.#entries) {
      if (there.has(asking)) continue;
      element.remove();
      this.#entries.delete(asking);
    }
    for (const asking of this.#picture.thread) {
      if (!this.#entries.has(asking)) this.#add(asking);
      this.#entries.get(asking).outcome.show(asking, `“${asking.question.words}” about ${this.#picture.name}`);
    }
    this.#list.hidden = there.size === 0;
  }

  tick() {
    for (const [asking, { outcome }] of this.#entries) if (!asking.settled) outcome.tick();
  }

  #add(asking) {
    const element = this.#templates.entry.content.firstElementChild.cloneNode(true);
    element.querySelector(".words").textContent = asking.question.words;
    const outcome = new Outcome(this.#templates.outcome, this.#acts);
    element.append(outcome.element);
    this.#entries.set(asking, { element, outcome });
    // A question that is asked again comes in the place of the old one.
    const next = this.#picture.thread[this.#picture.thread.indexOf(asking) + 1];
    this.#list.insertBefore(element, this.#entries.get(next)?.element ?? null);
    this.#list.scrollTop = this.#list.scrollHeight;
  }
}
