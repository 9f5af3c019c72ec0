/** The one caption of all pictures: its newest job, and the element that shows it. */

import { Outcome } from "./outcome.js";

export class Collective {
  job = null;
  #slot;
  #hint;
  #outcome;

  constructor({ slot, hint }, template, acts) {
    this.#slot = slot;
    this.#hint = hint;
    this.#outcome = new Outcome(template, acts);
    slot.append(this.#outcome.element);
  }

  get jobs() {
    return this.job ? [this.job] : [];
  }

  /** Show the newest job; `pictures`: those on the page now. */
  update(pictures) {
    this.#slot.hidden = !this.job;
    this.#slot.dataset.state = this.job?.state ?? "idle";
    this.#slot.setAttribute("aria-busy", String(Boolean(this.job && !this.job.settled)));
    if (this.job) this.#outcome.show(this.job, "all pictures");
    this.#hint.textContent = this.#advice(pictures);
  }

  tick() {
    if (this.job) this.#outcome.tick();
  }

  #advice(pictures) {
    if (!this.job) return "The caption follows the order of the pictures. Move them with the arrows or by dragging.";
    if (this.job.about(pictures)) return "";
    const same = pictures.length === this.job.pictures.length && pictures.every((one) => this.job.pictures.includes(one));
    return same ? "The order has changed since." : "The pictures have changed since.";
  }
}
