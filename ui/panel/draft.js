/** A text field with several uses, such as question and object to find: each use keeps its own text. */

export class Draft {
  #texts = {};
  #use;

  constructor(field, use) {
    this.field = field;
    this.#use = use;
  }

  /** Switch the field to `use`, with the text that it last had for it. */
  turn(use) {
    if (use === this.#use) return;
    this.#texts[this.#use] = this.field.value;
    this.field.value = this.#texts[use] ?? "";
    this.#use = use;
  }
}
