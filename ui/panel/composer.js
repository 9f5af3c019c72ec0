/** What goes with a question beside the pictures: the fields that fit the mode and the model, and suggestions. */

import { FINDS, WORDED } from "../requests/request.js";
import { Draft } from "./draft.js";

const QUESTIONS = {
  scenes: ["What color is the circle?", "How many shapes are there?", "What shape is red?", "Is there a blue square?"],
  world: ["What is in this picture?", "How many people are there?", "What does the text say?"],
};
const OBJECTS = {
  scenes: ["shape", "circle", "red circle", "blue square"],
  world: ["person", "face", "car", "text"],
};
const WORDS = {
  ask: { label: "Question", hint: "about each picture", suggestions: QUESTIONS },
  find: { label: "What to find", hint: "in each picture", suggestions: OBJECTS },
};
const PROMPTS = {
  begin: { label: "Caption prompt", hint: "how the caption begins", placeholder: "a photo of" },
  caption: { label: "Instruction", hint: "optional", placeholder: "Describe the picture in one sentence." },
  all: {
    label: "Instruction",
    hint: "optional",
    placeholder: "Write one caption for all of the pictures together.",
  },
};
const USUAL = "normal"; // the length of a request without one

export class Composer {
  #parts;
  #model = null;
  #prompt;
  #words;
  #suggested = null;

  /**
   * `parts`: the elements `prompt`, `promptLabel`, `promptHint`, `flag`, `flagHint`, `lengths`, `lengthHint`, `words`,
   * `wordsLabel`, `wordsHint`, `suggestions`.
   */
  constructor(parts, changed, suggest) {
    this.#parts = parts;
    this.#prompt = new Draft(parts.prompt, "begin");
    this.#words = new Draft(parts.words, "ask");
    for (const field of [parts.prompt, parts.flag, parts.words, parts.lengths]) field.addEventListener("input", changed);
    parts.suggestions.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      parts.words.value = button.textContent;
      suggest();
    });
  }

  /** `{prompt, flag, length, words}` as they count for `kind`, which is the mode shown. */
  question(kind) {
    const { prompt, flag, words } = this.#parts;
    if (WORDED.includes(kind)) return { prompt: "", flag: "", length: "", words: words.value.trim() };
    const length = kind === "caption" ? this.#length() : "";
    return { prompt: prompt.value.trim(), flag: this.#asksFlags(length) ? flag.value.trim() : "", length, words: "" };
  }

  /** Fill an empty field for words with the first suggestion, so that sample pictures can be tried in every mode. */
  suggestOne() {
    this.#parts.words.value ||= this.#parts.suggestions.querySelector("button").textContent;
  }

  /** Focus the field and select its words, so that typing replaces them. */
  focusWords() {
    this.#parts.words.focus();
    this.#parts.words.select();
  }

  /** Fit the fields to the mode and to `model` (null while it is not known). */
  show(kind, model) {
    this.#model = model;
    this.#showLengths(kind);
    if (WORDED.includes(kind)) {
      this.#showWords(FINDS.includes(kind) ? "find" : "ask");
    } else {
      const begins = kind === "caption" && (model?.continues_prompt ?? true);
      this.#showPrompt(begins ? "begin" : kind);
      this.#showFlag(kind);
    }
  }

  /** The chosen length; empty where it is the usual one or has no effect. */
  #length() {
    const { lengths, prompt } = this.#parts;
    if (!this.#hasLengths() || prompt.value.trim()) return "";
    const { value } = lengths.querySelector("input:checked");
    return value === USUAL ? "" : value;
  }

  #hasLengths() {
    return (this.#model?.lengths.length ?? 0) > 1;
  }

  /** A flag needs a model that answers questions; the route that takes lengths takes no flags. */
  #asksFlags(length) {
    return (this.#model?.tasks.includes("query") ?? true) && !length;
  }

  #showPrompt(use) {
    const { prompt, promptLabel, promptHint } = this.#parts;
    this.#prompt.turn(use);
    promptLabel.textContent = PROMPTS[use].label;
    promptHint.textContent = PROMPTS[use].hint;
    prompt.placeholder = PROMPTS[use].placeholder;
  }

  #showLengths(kind) {
    const { lengths, lengthHint, prompt } = this.#parts;
    const told = prompt.value.trim() !== "";
    lengths.hidden = kind !== "caption" || !this.#hasLengths();
    lengths.disabled = told;
    lengthHint.textContent = told ? "the instruction decides" : "";
  }

  #showFlag(kind) {
    const { flag, flagHint } = this.#parts;
    const able = this.#asksFlags("");
    const length = kind === "caption" ? this.#length() : "";
    flag.disabled = !this.#asksFlags(length);
    flag.placeholder = flag.disabled ? "" : this.#model?.weights === "hub" ? "Is there a person?" : "Is there a triangle?";
    flagHint.textContent = !able ? `not with ${this.#model.title}` : length ? "with the normal length" : "yes or no; optional";
  }

  #showWords(use) {
    const { words, wordsLabel, wordsHint } = this.#parts;
    const { label, hint, suggestions } = WORDS[use];
    const known = this.#model?.weights === "hub" || this.#model?.weights === "local" ? suggestions.world : suggestions.scenes;
    this.#words.turn(use);
    wordsLabel.textContent = label;
    wordsHint.textContent = hint;
    words.placeholder = known[0];
    this.#showSuggestions(known);
  }

  #showSuggestions(texts) {
    if (this.#suggested === texts) return;
    this.#suggested = texts;
    this.#parts.suggestions.replaceChildren(
      ...texts.map((text) => {
        const item = document.createElement("li");
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = text;
        item.append(button);
        return item;
      }),
    );
  }
}
