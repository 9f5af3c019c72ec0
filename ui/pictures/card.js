/** A picture's card in the grid. Names, captions and messages are only ever set as text. */

import { EACH } from "../requests/request.js";
import { Found } from "../detections/found.js";
import { Outcome } from "../answers/outcome.js";
import { Thread } from "./thread.js";

const UNASKED = { caption: "No caption yet", detect: "Nothing looked for yet", point: "Nothing looked for yet" };

export class Card {
  /**
   * `acts`: those of an Outcome and a Thread, and `{remove(picture), move(picture, by)}`.
   * `templates`: `{card, outcome, entry, thing}`.
   */
  constructor(templates, picture, acts) {
    this.picture = picture;
    this.element = templates.card.content.firstElementChild.cloneNode(true);
    this.newest = new Outcome(templates.outcome, acts);
    this.#part(".newest").append(this.newest.element);
    this.found = new Found(this.#part(".newest .things"), this.#part(".overlay"), templates.thing);
    this.thread = new Thread(this.#part(".thread"), picture, templates, acts);
    this.#part("article").setAttribute("aria-label", picture.name);
    this.#part(".name").textContent = picture.name;
    this.#part(".name").title = picture.name;
    this.#button(".remove", `Remove ${picture.name}`, () => acts.remove(picture));
    this.#button(".earlier", `Move ${picture.name} earlier`, () => acts.move(picture, -1));
    this.#button(".later", `Move ${picture.name} later`, () => acts.move(picture, 1));
    this.#showThumbnail();
  }

  /** Show the picture as it is now, on a page that is in the mode `kind`. */
  update(kind) {
    const { name } = this.picture;
    const newest = this.picture.jobs(kind).at(-1);
    const shown = EACH.includes(kind) ? newest : null;
    this.element.dataset.state = newest?.state ?? "idle";
    this.element.draggable = kind === "all";
    this.#part("article").setAttribute("aria-busy", String(Boolean(newest && !newest.settled)));
    this.#part(".newest").hidden = !shown;
    this.#part(".unasked").hidden = Boolean(shown) || !EACH.includes(kind);
    this.#part(".unasked").textContent = UNASKED[kind] ?? "";
    if (shown) this.newest.show(shown, name);
    this.found.show(shown?.answer ?? null, name);
    this.thread.update();
  }

  /** Update the seconds of waiting. */
  tick() {
    if (this.newest.job) this.newest.tick();
    this.thread.tick();
  }

  /** `place` of `count`, from 0: the first card cannot move earlier, nor the last one later. */
  place(place, count) {
    this.#part(".earlier").disabled = place === 0;
    this.#part(".later").disabled = place === count - 1;
  }

  focus(selector = ".remove") {
    const wanted = this.#part(selector);
    (wanted.disabled ? this.#part("article") : wanted).focus();
  }

  /** Remove the card from the page and release its file. */
  close() {
    this.#release();
    this.element.remove();
  }

  #part(selector) {
    return this.element.querySelector(selector);
  }

  #button(selector, label, act) {
    this.#part(selector).setAttribute("aria-label", label);
    this.#part(selector).addEventListener("click", act);
  }

  #showThumbnail() {
    const image = this.#part("img");
    this.url = URL.createObjectURL(this.picture.file);
    image.addEventListener("load", () => this.#release());
    image.addEventListener("error", () => {
      this.#release();
      this.element.classList.add("blank");
    });
    image.src = this.url;
  }

  /** Revoke the picture's URL, which keeps the whole file in memory; a decoded picture does not need it. */
  #release() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
  }
}
