/** The words that go with a question: the fields that fit the mode and the model, and suggestions. */

import { continues } from "./contract.js";

const SCENE_QUESTIONS = [
  "What color is the circle?",
  "How many shapes are there?",
  "What shape is red?",
  "Is there a blue square?",
];
const QUESTIONS = ["What is in this picture?", "How many people are there?", "What does the text say?"];
const PROMPTS = {
  begin: { label: "Caption prompt", hint: "how the caption begins", placeholder: "a photo of" },
  caption: { label: "Instruction", hint: "optional", placeholder: "Describe the picture in one sentence." },
  all: {
    label: "Instruction",
    hint: "optional",
    placeholder: "Write one caption for all of the pictures together.",
  },
};

export class Composer {
  #parts;
  #drafts = {}; // the prompt's texts: what suits one use of it is nonsense for another
  #use = "begin";
  #suggested = "";

  /** `parts`: the elements `prompt`, `promptLabel`, `promptHint`, `flag`, `flagHint`, `words`, `suggestions`. */
  constructor(parts, changed, suggest) {
    this.#parts = parts;
    for (const field of [parts.prompt, parts.flag, parts.words]) field.addEventListener("input", changed);
    parts.suggestions.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      parts.words.value = button.textContent;
      suggest();
    });
  }

  /** `{prompt, flag, words}` as they count for `kind`; a flag is nothing to a model that is not asked one. */
  question(kind) {
    const { prompt, flag, words } = this.#parts;
    if (kind === "ask") return { prompt: "", flag: "", words: words.value.trim() };
    return { prompt: prompt.value.trim(), flag: flag.disabled ? "" : flag.value.trim(), words: "" };
  }

  /** What a person sees who tries the sample picture without a question of his own. */
  suggestOne() {
    this.#parts.words.value ||= SCENE_QUESTIONS[0];
  }

  /** Ready for other words in the place of these. */
  focusWords() {
    this.#parts.words.focus();
    this.#parts.words.select();
  }

  /** Fit the fields to the mode and to `model` (null while it is not known). */
  show(kind, model) {
    if (kind !== "ask") this.#showPrompt(kind === "caption" && continues(model?.id ?? "blip") ? "begin" : kind);
    this.#showFlag(model);
    this.#showSuggestions(model?.weights === "hub" || model?.weights === "local" ? QUESTIONS : SCENE_QUESTIONS);
  }

  #showPrompt(use) {
    const { prompt, promptLabel, promptHint } = this.#parts;
    if (use !== this.#use) {
      this.#drafts[this.#use] = prompt.value;
      prompt.value = this.#drafts[use] ?? "";
      this.#use = use;
    }
    promptLabel.textContent = PROMPTS[use].label;
    promptHint.textContent = PROMPTS[use].hint;
    prompt.placeholder = PROMPTS[use].placeholder;
  }

  #showFlag(model) {
    const { flag, flagHint } = this.#parts;
    const able = !model || model.tasks.includes("query");
    flag.disabled = !able;
    flag.placeholder = !able ? "" : model?.weights === "hub" ? "Is there a person?" : "Is there a triangle?";
    flagHint.textContent = able ? "yes or no; optional" : `not with ${model.title}`;
  }

  #showSuggestions(questions) {
    if (this.#suggested === questions[0]) return;
    this.#suggested = questions[0];
    this.#parts.suggestions.replaceChildren(
      ...questions.map((text) => {
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
