/** Boxes and points over a picture on the page: drawn anew for each size that the picture is shown in. */

import { annotation } from "./annotation.js";

export class Overlay {
  #layer;
  #shown = null; // `{things, size}` of what is drawn
  #lit = null;

  /** `layer`: an element that covers the picture's frame. `point`, `press`: called with the number of a mark, or null. */
  constructor(layer, { point, press }) {
    this.#layer = layer;
    const number = (event) => Number(event.target.closest("[data-number]")?.dataset.number) || null;
    layer.addEventListener("pointerover", (event) => point(number(event)));
    layer.addEventListener("pointerleave", () => point(null));
    layer.addEventListener("click", (event) => press(number(event)));
    new ResizeObserver(() => this.#draw()).observe(layer);
  }

  /** Draw `things` of a picture of `size`; null: nothing. */
  show(shown) {
    this.#shown = shown;
    this.#draw();
  }

  /** Point out the mark of a number; null: none. */
  light(number) {
    this.#lit = number;
    this.#layer.classList.toggle("lit", number !== null);
    for (const mark of this.#layer.querySelectorAll("[data-number]")) {
      mark.classList.toggle("lit", Number(mark.dataset.number) === number);
    }
  }

  #draw() {
    const { clientWidth, clientHeight } = this.#layer;
    if (!this.#shown || clientWidth === 0) {
      this.#layer.replaceChildren();
      return;
    }
    const { things, size } = this.#shown;
    const scale = Math.min(clientWidth / size.width, clientHeight / size.height); // as the picture itself is fitted in
    this.#layer.replaceChildren(annotation(things, { width: size.width * scale, height: size.height * scale }));
    this.light(this.#lit);
  }
}
