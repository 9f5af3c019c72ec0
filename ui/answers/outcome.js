/** The element that shows a job: its answer with tags, flag and buttons, or its problem, or its state. */

import { copy } from "../common/clipboard.js";
import { coco } from "../detections/coco.js";
import { curl } from "../requests/code.js";
import { drawn } from "../detections/drawing.js";
import { records } from "./results.js";
import { save } from "./save.js";
import { showTags } from "./tags.js";
import { counted, duration } from "../common/words.js";

const COPIED_MS = 1600;
const LONG = 120; // characters above which an answer has the smaller style of a paragraph
const PATIENT_SECONDS = 2; // longer waits are shown in seconds

export class Outcome {
  job = null;

  /**
   * `acts`: `{retry(job), say(text), status(job), continues(model)}`: `status` gives the
   * state of a job in words, `continues` whether the model's captions begin with the prompt.
   */
  constructor(template, acts) {
    this.acts = acts;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.#part(".retry").addEventListener("click", () => {
      this.element.closest("[tabindex]").focus(); // the button will be hidden, and the focus must not return to the top of the page
      acts.retry(this.job);
    });
    this.#onCopy(".copy", () => this.#part(".text").textContent.trim());
    this.#onCopy(".curl", () => curl(this.job.question, this.job.names, location.origin));
    this.#onCopy(".json", () => JSON.stringify(records([this.job])[0], null, 2));
    this.#onCopy(".coco", () => JSON.stringify(coco([this.job]), null, 2));
    this.#part(".png").addEventListener("click", () => this.#saveDrawing());
  }

  /** Show `job`; `name` stands for its pictures in the labels for screen readers. */
  show(job, name) {
    this.job = job;
    const { state, answer, problem, seconds, question } = job;
    this.element.dataset.state = state;
    this.tick();
    const text = answer ? said(answer, question) : "";
    this.#part(".lead").textContent = answer && this.acts.continues(answer.model) ? question.prompt : "";
    this.#part(".said").textContent = text || "(the model wrote nothing)";
    this.#part(".text").classList.toggle("long", text.length > LONG);
    this.#part(".copy").hidden = Boolean(answer?.things);
    this.#part(".json").hidden = !answer?.things;
    this.#part(".coco").hidden = question.kind !== "detect" || !answer;
    this.#part(".png").hidden = !answer?.things?.length;
    this.#part(".message").textContent = problem?.message ?? "";
    this.#part(".code").textContent = problem?.code ?? "";
    this.#part(".cached").hidden = !answer?.cache;
    this.#part(".cut").hidden = answer?.finish_reason !== "loop";
    this.#part(".seconds").textContent = seconds === null ? "" : duration(seconds);
    this.#label(".retry", `Try ${name} again`);
    this.#label(".copy", `Copy the answer about ${name}`);
    this.#label(".curl", `Copy as curl: ${name}`);
    this.#label(".json", `Copy as JSON: ${name}`);
    this.#label(".coco", `Copy as COCO: ${name}`);
    this.#label(".png", `Download as PNG with what was found: ${name}`);
    showTags(this.#part(".tags"), answer?.tags ?? [], name);
    this.#showFlag(answer, question.flag);
  }

  /** Update the seconds of waiting. */
  tick() {
    const waits = this.job.began === null ? 0 : Math.floor((performance.now() - this.job.began) / 1000);
    const text = this.acts.status(this.job);
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

  #onCopy(selector, text) {
    const button = this.#part(selector);
    const word = button.textContent;
    button.addEventListener("click", async () => {
      button.textContent = (await copy(text())) ? "Copied" : "Not copied";
      this.acts.say(button.textContent);
      setTimeout(() => (button.textContent = word), COPIED_MS);
    });
  }

  async #saveDrawing() {
    const { answer, question, pictures } = this.job;
    const [{ file, name }] = pictures;
    const stem = name.replace(/\.\w+$/, "");
    try {
      save(`${stem}-${question.kind === "detect" ? "boxes" : "points"}.png`, "image/png", await drawn(file, answer));
    } catch {
      this.acts.say("This browser cannot draw the picture.");
    }
  }
}

/** An answer in words. */
function said({ text, things }, { kind, words }) {
  if (!things) return text;
  if (things.length === 0) return `Nothing found for “${words}”`;
  return `${counted(things.length, kind === "detect" ? "box" : "point")} for “${words}”`;
}

function flagOf({ flagged, flag_evaluated: evaluated }) {
  if (flagged === true) return { kind: "yes", text: "yes" };
  if (flagged === false) return evaluated ? { kind: "no", text: "no" } : null; // nothing was asked
  if (flagged === null) return { kind: "unclear", text: evaluated ? "not understood" : "not answered" };
  return null;
}
