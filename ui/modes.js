/** The choice of what to do. What the chosen model cannot do is disabled, with the reason and a model that can. */

import { KINDS } from "./contract.js";

const REASONS = {
  caption: (title) => `${title} writes no captions.`,
  all: (title) => `${title} sees one picture at a time.`,
  ask: (title) => `${title} answers no questions.`,
};

export class Modes {
  #options = new Map(); // kind -> its element
  #changed;

  /** `use(kind)`: called when a person wants a disabled mode, with a model that can do it. */
  constructor(list, changed, use) {
    this.#changed = changed;
    for (const option of list.querySelectorAll("[data-kind]")) {
      const { kind } = option.dataset;
      this.#options.set(kind, option);
      option.querySelector(".use").addEventListener("click", () => use(kind));
    }
    list.addEventListener("change", () => changed());
  }

  get chosen() {
    return [...this.#options.keys()].find((kind) => this.#radio(kind).checked);
  }

  choose(kind) {
    if (!this.#options.has(kind) || this.#radio(kind).disabled) return;
    this.#radio(kind).checked = true;
    this.#changed();
  }

  focus() {
    this.#radio(this.chosen).focus();
  }

  /** Show what `model` can do. `helper(kind)`: a model for a mode that it cannot. Returns whether the choice changed. */
  show(model, helper) {
    for (const [kind, option] of this.#options) {
      const able = !model || model.tasks.includes(KINDS[kind].task);
      const other = able ? null : helper(kind);
      this.#radio(kind).disabled = !able;
      option.classList.toggle("unable", !able);
      option.querySelector(".reason").hidden = able;
      option.querySelector(".reason").textContent = able ? "" : REASONS[kind](model.title);
      option.querySelector(".use").hidden = !other;
      option.querySelector(".use").textContent = other ? `Use ${other.title}` : "";
    }
    const lost = this.#radio(this.chosen).disabled;
    if (lost) this.#radio("caption").checked = true;
    return lost;
  }

  #radio(kind) {
    return this.#options.get(kind).querySelector("input");
  }
}
