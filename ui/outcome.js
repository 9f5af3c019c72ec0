/** What became of one question: its answer with tags and flag, or its problem, or how far it is. Text is only text. */

import { copy } from "./clipboard.js";
import { curl } from "./code.js";
import { continues } from "./contract.js";
import { showTags } from "./tags.js";
import { duration } from "./words.js";

const COPIED_MS = 1600;
const LONG = 120; // characters from which an answer is text to read, not a line to look at
const PATIENT_SECONDS = 2; // a wait that is longer is told in seconds

export class Outcome {
  asking = null;

  /** `acts`: `{retry(asking), say(text), status(asking)}`, the last a word for what a question at work waits for. */
  constructor(template, acts) {
    this.acts = acts;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.#part(".retry").addEventListener("click", () => {
      this.element.closest("[tabindex]").focus(); // the button vanishes; the focus must not go to the top of the page
      acts.retry(this.asking);
    });
    this.#part(".copy").addEventListener("click", () => this.#copy(".copy", this.#part(".text").textContent.trim()));
    this.#part(".curl").addEventListener("click", () => {
      this.#copy(".curl", curl(this.asking.question, this.asking.names, location.origin));
    });
  }

  /** Show `asking`, called `name` for those who hear the page. */
  show(asking, name) {
    this.asking = asking;
    const { state, answer, problem, seconds, question } = asking;
    this.element.dataset.state = state;
    this.tick();
    this.#part(".lead").textContent = answer && continues(answer.model) ? question.prompt : "";
    this.#part(".said").textContent = answer?.text || "(no words)";
    this.#part(".text").classList.toggle("long", (answer?.text.length ?? 0) > LONG);
    this.#part(".message").textContent = problem?.message ?? "";
    this.#part(".code").textContent = problem?.code ?? "";
    this.#part(".cached").hidden = !answer?.cache;
    this.#part(".seconds").textContent = seconds === null ? "" : duration(seconds);
    this.#label(".retry", `Try ${name} again`);
    this.#label(".copy", `Copy the answer about ${name}`);
    this.#label(".curl", `Copy as curl: ${name}`);
    showTags(this.#part(".tags"), answer?.tags ?? [], name);
    this.#showFlag(answer, question.flag);
  }

  /** Renew what changes while one waits. */
  tick() {
    const waits = this.asking.began === null ? 0 : Math.floor((performance.now() - this.asking.began) / 1000);
    const text = this.acts.status(this.asking);
    this.#part(".status").textContent = waits >= PATIENT_SECONDS ? `${text} ${waits} s` : text;
  }

  #part(selector) {
    return this.element.querySelector(selector);
  }

  #label(selector, text) {
    this.#part(selector).setAttribute("aria-label", text);
  }

  #showFlag(answer, question) {
    const verdict = answer ? flagOf(answer) : null;
    this.#part(".flag").hidden = verdict === null;
    if (verdict === null) return;
    this.#part(".flag").dataset.verdict = verdict.kind;
    this.#part(".flag-question").textContent = question || "The service's flag question";
    this.#part(".verdict").textContent = verdict.text;
  }

  async #copy(selector, text) {
    const button = this.#part(selector);
    button.dataset.word ??= button.textContent;
    button.textContent = (await copy(text)) ? "Copied" : "Not copied";
    this.acts.say(button.textContent);
    setTimeout(() => (button.textContent = button.dataset.word), COPIED_MS);
  }
}

function flagOf({ flagged, flag_evaluated: evaluated }) {
  if (flagged === true) return { kind: "yes", text: "yes" };
  if (flagged === false) return evaluated ? { kind: "no", text: "no" } : null; // nothing was asked
  if (flagged === null) return { kind: "unclear", text: evaluated ? "not understood" : "not answered" };
  return null;
}
