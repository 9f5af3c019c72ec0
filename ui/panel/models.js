/** The choice of a model: a radio for each with what it can do and its state, and the facts of the chosen one. */

import { KINDS } from "../requests/request.js";
import { large } from "../common/words.js";

const STATES = {
  unloaded: "on first use",
  waiting: "in line",
  loading: "loading…",
  ready: "ready",
  failed: "failed",
  unreachable: "unreachable",
};
const OUTLOOK = {
  waiting: "It waits until another model has left its place in memory.",
  loading: "It is being loaded; answers wait for that.",
  failed: "It could not be loaded. The next question tries again.",
  unreachable: "Its process does not answer right now.",
};
const WEIGHTS = {
  sample: "Sample weights: it knows drawn scenes of coloured shapes, nothing else.",
  local: "Weights from a directory of this machine.",
};
const ABILITIES = {
  caption: "captions",
  collective: "one for all",
  query: "questions",
  detect: "boxes",
  point: "points",
};
const NOT_THERE_YET = ["unloaded", "waiting", "loading"];

export class Models {
  #list;
  #template;
  #facts;
  #changed;
  #catalogue = new Map();
  #tiles = new Map();
  #states = {};

  constructor({ list, template, facts }, changed) {
    this.#list = list;
    this.#template = template;
    this.#facts = facts;
    this.#changed = changed;
    list.addEventListener("change", () => {
      this.#showFacts();
      changed();
    });
  }

  get known() {
    return this.#catalogue.size > 0;
  }

  /** The chosen model's entry in the catalogue; null until the catalogue is known. */
  get chosen() {
    return this.#catalogue.get(this.#list.querySelector("input:checked")?.value) ?? null;
  }

  title(id) {
    return this.#catalogue.get(id)?.title ?? id;
  }

  /** Whether the model's prompt is the beginning of its caption; others are told what to do. */
  continues(id) {
    return this.#catalogue.get(id)?.continues_prompt ?? false;
  }

  state(id) {
    return this.#states[id];
  }

  /** Whether an answer has to wait for the weights of the model first. */
  isAway(id) {
    return NOT_THERE_YET.includes(this.#states[id]);
  }

  /** The model to use for a kind of question: one that is loaded if there is, else the smallest. */
  bestFor(kind) {
    const able = [...this.#catalogue.values()].filter((entry) => entry.tasks.includes(KINDS[kind].task));
    const rank = ({ id }) => ["ready", "loading", "waiting", "unloaded"].indexOf(this.#states[id] ?? "unloaded");
    const cost = (entry) => (rank(entry) === 0 ? 0 : rank(entry) < 0 ? Infinity : entry.parameters);
    return able.sort((one, other) => cost(one) - cost(other) || one.parameters - other.parameters)[0] ?? null;
  }

  /** `entries`: the service's catalogue. Chooses `wish`, or else the first. */
  offer(entries, wish) {
    this.#catalogue = new Map(entries.map((entry) => [entry.id, entry]));
    this.#tiles = new Map(entries.map((entry) => [entry.id, this.#tile(entry)]));
    this.#list.replaceChildren(...this.#tiles.values());
    this.show(this.#states);
    this.choose(this.#catalogue.has(wish) ? wish : entries[0]?.id);
  }

  choose(id) {
    const tile = this.#tiles.get(id);
    if (!tile) return;
    tile.querySelector("input").checked = true;
    this.#showFacts();
    this.#changed();
  }

  /** `states`: name to state as in /health; null while the service does not answer. */
  show(states) {
    this.#states = states ?? Object.fromEntries(Object.keys(this.#states).map((id) => [id, "unreachable"]));
    for (const [id, tile] of this.#tiles) {
      const state = this.#states[id] ?? "";
      tile.dataset.state = state;
      tile.querySelector(".word").textContent = STATES[state] ?? state;
    }
    this.#showFacts();
  }

  #tile(entry) {
    const tile = this.#template.content.firstElementChild.cloneNode(true);
    tile.querySelector("input").value = entry.id;
    tile.querySelector(".title").textContent = entry.title;
    // Sample weights are far smaller than the published model, so its size would be wrong here.
    const size = entry.weights === "sample" ? "sample" : large(entry.parameters);
    tile.querySelector(".sub").textContent = [size, ...abilities(entry)].join(" · ");
    return tile;
  }

  #showFacts() {
    if (!this.chosen) return;
    const { id, weights } = this.chosen;
    const sentences = [WEIGHTS[weights], size(this.chosen), OUTLOOK[this.#states[id]]].filter(Boolean);
    if (sentences.join() === [...this.#facts.children].map((line) => line.textContent).join()) return;
    this.#facts.replaceChildren(...sentences.map(line));
  }
}

function abilities({ tasks }) {
  const known = Object.keys(ABILITIES).filter((task) => tasks.includes(task));
  return known.map((task) => ABILITIES[task]);
}

/** Size and licence are the published model's; samples are the project's own. */
function size({ parameters, bf16_bytes: bytes, licence, gated, weights }) {
  const whose = weights === "sample" ? "Published" : "Size";
  const gate = gated ? ", gated" : "";
  const terms = licence.replace(/ licence$/, "").replaceAll("-", "\u2011"); // hyphens at which no line breaks
  return `${whose}: ${large(parameters)} parameters, ${(bytes / 1e9).toFixed(1)} GB as bfloat16; licence: ${terms}${gate}.`;
}

function line(text) {
  const element = document.createElement("li");
  element.textContent = text;
  return element;
}
