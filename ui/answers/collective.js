/** The one caption of all pictures: the newest Asking for it, and where it is shown. */

import { Outcome } from "./outcome.js";

export class Together {
  asking = null;
  #slot;
  #hint;
  #outcome;

  constructor({ slot, hint }, template, acts) {
    this.#slot = slot;
    this.#hint = hint;
    this.#outcome = new Outcome(template, acts);
    slot.append(this.#outcome.element);
  }

  get askings() {
    return this.asking ? [this.asking] : [];
  }

  /** Show it beside `pictures`, those that are on the page now. */
  update(pictures) {
    this.#slot.hidden = !this.asking;
    this.#slot.dataset.state = this.asking?.state ?? "idle";
    this.#slot.setAttribute("aria-busy", String(Boolean(this.asking && !this.asking.settled)));
    if (this.asking) this.#outcome.show(this.asking, "all pictures");
    this.#hint.textContent = this.#advice(pictures);
  }

  tick() {
    if (this.asking) this.#outcome.tick();
  }

  #advice(pictures) {
    if (!this.asking) return "The caption follows the order of the pictures. Move them with the arrows or by dragging.";
    if (this.asking.about(pictures)) return "";
    const same = pictures.length === this.asking.pictures.length && pictures.every((one) => this.asking.pictures.includes(one));
    return same ? "The order has changed since." : "The pictures have changed since.";
  }
}
