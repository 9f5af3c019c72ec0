/** The choice of a mode. Modes that the chosen model lacks are disabled, with the reasons and a model that has them. */

import { KINDS } from "../requests/request.js";

const LACKS = {
  caption: "writes no captions",
  all: "sees one picture at a time",
  ask: "answers no questions",
  detect: "finds no places",
  point: "finds no places",
};
const LIST = new Intl.ListFormat("en-GB");

export class Modes {
  #options = new Map(); // kind -> its element
  #reasons;
  #changed;

  /** `reasons`: an element for them. `use(kind)`: called for a disabled mode, which needs another model. */
  constructor({ list, reasons }, changed, use) {
    this.#reasons = reasons;
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
    const lacks = new Set();
    for (const [kind, option] of this.#options) {
      const able = !model || model.tasks.includes(KINDS[kind].task);
      const other = able ? null : helper(kind);
      this.#radio(kind).disabled = !able;
      if (!able) lacks.add(LACKS[kind]);
      option.classList.toggle("unable", !able);
      option.querySelector(".use").hidden = !other;
      option.querySelector(".use").textContent = other ? `Use ${other.title}` : "";
    }
    this.#reasons.hidden = lacks.size === 0;
    this.#reasons.textContent = lacks.size === 0 ? "" : `${model.title} ${LIST.format(lacks)}.`;
    const lost = this.#radio(this.chosen).disabled;
    if (lost) this.#radio("caption").checked = true;
    return lost;
  }

  #radio(kind) {
    return this.#options.get(kind).querySelector("input");
  }
}
