/** What was found in a picture: over the picture, and below it as a list in words. Each points out its like. */

import { COLOURS } from "./annotation.js";
import { Overlay } from "./overlay.js";
import { pixels, whereabouts } from "./places.js";

export class Found {
  #list;
  #template;
  #overlay;
  #answer = null;
  #hovered = null;
  #focused = null;
  #pinned = null;

  /** `list`: for the words; `layer`: over the picture; `template`: of an entry. */
  constructor(list, layer, template) {
    this.#list = list;
    this.#template = template;
    this.#overlay = new Overlay(layer, {
      point: (number) => this.#light({ hovered: number }, true),
      press: (number) => number && this.#pin(number),
    });
    const number = (event) => Number(event.target.closest("[data-number]")?.dataset.number) || null;
    list.addEventListener("pointerover", (event) => this.#light({ hovered: number(event) }));
    list.addEventListener("pointerleave", () => this.#light({ hovered: null }));
    list.addEventListener("focusin", (event) => this.#light({ focused: number(event) }));
    list.addEventListener("focusout", () => this.#light({ focused: null }));
    list.addEventListener("click", (event) => number(event) && this.#pin(number(event)));
  }

  /** Show what `answer` found in the picture called `name`; null, or an answer in words: nothing. */
  show(answer, name) {
    if (answer === this.#answer) return; // what is pointed out stays so
    this.#answer = answer;
    const things = answer?.things ?? [];
    this.#list.setAttribute("aria-label", `Found in ${name}`);
    this.#list.replaceChildren(...things.map((thing, place) => this.#entry(thing, place + 1, answer.size)));
    this.#list.hidden = things.length === 0;
    this.#overlay.show(things.length > 0 ? answer : null);
    this.#pinned = null;
    this.#light({ hovered: null, focused: null });
  }

  #entry(thing, number, size) {
    const entry = this.#template.content.firstElementChild.cloneNode(true);
    const button = entry.querySelector("button");
    button.dataset.number = number;
    button.querySelector(".number").textContent = number;
    button.querySelector(".number").style.background = COLOURS[(number - 1) % COLOURS.length];
    button.querySelector(".where").textContent = whereabouts(thing);
    button.querySelector(".pixels").textContent = pixels(thing, size);
    return entry;
  }

  #pin(number) {
    this.#pinned = this.#pinned === number ? null : number;
    this.#light({});
  }

  /** `reveal`: also bring the entry into the list's window, if the list scrolls. */
  #light({ hovered = this.#hovered, focused = this.#focused }, reveal = false) {
    this.#hovered = hovered;
    this.#focused = focused;
    const number = hovered ?? focused ?? this.#pinned;
    this.#overlay.light(number);
    for (const button of this.#list.querySelectorAll("[data-number]")) {
      const its = Number(button.dataset.number);
      button.classList.toggle("lit", its === number);
      button.setAttribute("aria-pressed", String(its === this.#pinned));
      if (reveal && its === number) this.#reveal(button);
    }
  }

  /** `scrollIntoView` would move the page too, and with it the picture from under the pointer. */
  #reveal(button) {
    const { top, bottom } = button.getBoundingClientRect();
    const list = this.#list.getBoundingClientRect();
    if (top < list.top) this.#list.scrollTop -= list.top - top;
    if (bottom > list.bottom) this.#list.scrollTop += bottom - list.bottom;
  }
}
