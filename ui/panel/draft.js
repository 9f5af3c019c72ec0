/** A text field that serves several uses in turn: what suits one is nonsense for another, so each has its own text. */

export class Draft {
  #texts = {};
  #use;

  constructor(field, use) {
    this.field = field;
    this.#use = use;
  }

  /** Make the field serve `use`, with the text that it had there last. */
  turn(use) {
    if (use === this.#use) return;
    this.#texts[this.#use] = this.field.value;
    this.field.value = this.#texts[use] ?? "";
    this.#use = use;
  }
}
