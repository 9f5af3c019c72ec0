/** The choice of a model: the select, each option with its model's state in words, and a dot for the chosen one's. */

const WORDS = {
  unloaded: "loads on first use",
  loading: "loading…",
  ready: "ready",
  failed: "failed to load",
  unreachable: "unreachable",
};

export class Models {
  #select;
  #dot;
  #states = {};

  constructor(select, dot, changed) {
    this.#select = select;
    this.#dot = dot;
    select.addEventListener("change", () => {
      this.#showDot();
      changed();
    });
  }

  /** The chosen model's name; empty until the service has told its models (it then takes its own default). */
  get chosen() {
    return this.#select.value;
  }

  /** Whether an answer has to wait for the weights of the model `name` first. */
  isLoading(name) {
    return ["unloaded", "loading"].includes(this.#states[name]);
  }

  /** `states`: name to state as in /health; null while the service does not answer. */
  show(states) {
    this.#states = states ?? Object.fromEntries(Object.keys(this.#states).map((name) => [name, "unreachable"]));
    const names = Object.keys(this.#states);
    const options = [...this.#select.options];
    if (names.length > 0 && names.join() !== options.map((option) => option.value).join()) this.#offer(names);
    // An open list would close if its options were replaced, so they are only given new words.
    for (const option of this.#select.options) {
      const text = option.value ? `${option.value} (${words(this.#states[option.value])})` : option.text;
      if (option.text !== text) option.text = text;
    }
    this.#showDot();
  }

  #offer(names) {
    const before = this.chosen;
    this.#select.replaceChildren(...names.map((name) => new Option(name, name)));
    if (names.includes(before)) this.#select.value = before;
    this.#select.disabled = false;
  }

  #showDot() {
    this.#dot.dataset.state = this.#states[this.chosen] ?? "";
  }
}

function words(state) {
  return WORDS[state] ?? state;
}
