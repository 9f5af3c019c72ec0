/** A picture's card in the grid. Names, captions and messages are only ever set as text. */

import { copy } from "./clipboard.js";

const FEW_TAGS = 10;
const COPIED_MS = 1600;

export class Card {
  /** `acts`: what the card calls, `{retry, remove}` with its picture and `say` with a text to announce. */
  constructor(template, picture, acts) {
    this.picture = picture;
    this.acts = acts;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.#part("article").setAttribute("aria-label", picture.name);
    this.#part(".name").textContent = picture.name;
    this.#part(".name").title = picture.name;
    this.#button(".retry", `Try ${picture.name} again`, () => this.#retry());
    this.#button(".remove", `Remove ${picture.name}`, () => acts.remove(picture));
    this.#button(".copy", `Copy the caption of ${picture.name}`, () => this.#copy());
    this.#showThumbnail();
    this.update();
  }

  /** Show the picture as it is now. `loading`: whether its model is not yet there. */
  update({ loading = false } = {}) {
    const { state, answer, problem, seconds } = this.picture;
    this.element.dataset.state = state;
    this.#part("article").setAttribute("aria-busy", String(!this.picture.settled));
    this.#part(".status").textContent = status(this.picture, loading);
    this.#part(".lead").textContent = answer ? this.picture.question.prompt : "";
    this.#part(".said").textContent = answer?.caption || "(no words)";
    this.#part(".message").textContent = problem?.message ?? "";
    this.#part(".code").textContent = problem?.code ?? "";
    this.#part(".cached").hidden = !answer?.cache;
    this.#part(".seconds").textContent = seconds === null ? "" : duration(seconds);
    this.#showTags(FEW_TAGS);
  }

  focus() {
    this.#part(".remove").focus();
  }

  /** Take the card off the page and let go of its file. */
  close() {
    this.#release();
    this.element.remove();
  }

  #part(selector) {
    return this.element.querySelector(selector);
  }

  #button(selector, label, act) {
    this.#part(selector).setAttribute("aria-label", label);
    this.#part(selector).addEventListener("click", act);
  }

  #showThumbnail() {
    const image = this.#part("img");
    this.url = URL.createObjectURL(this.picture.file);
    image.addEventListener("load", () => this.#release());
    image.addEventListener("error", () => {
      this.#release();
      this.element.classList.add("blank");
    });
    image.src = this.url;
  }

  /** A decoded picture needs its URL no more; until then the URL would keep the whole file in memory. */
  #release() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
  }

  #showTags(most) {
    const tags = this.picture.answer?.tags ?? [];
    const shown = tags.length <= most + 1 ? tags : tags.slice(0, most); // never a button for a single tag
    this.#part(".tags").replaceChildren(...shown.map((tag) => chip(tag.replaceAll("_", " "))));
    this.#part(".tags").hidden = tags.length === 0;
    if (shown.length < tags.length) this.#part(".tags").append(chip(this.#more(tags.length - shown.length)));
  }

  #more(count) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `+${count}`;
    button.setAttribute("aria-label", `Show ${count} more tags of ${this.picture.name}`);
    button.addEventListener("click", () => this.#unfold());
    return button;
  }

  // These two buttons vanish as they are pressed; the focus must not fall back to the top of the page with them.
  #retry() {
    this.#part("article").focus();
    this.acts.retry(this.picture);
  }

  #unfold() {
    this.#showTags(Infinity);
    this.#part(".tags").focus();
  }

  async #copy() {
    const button = this.#part(".copy");
    button.textContent = (await copy(this.#part(".caption").textContent.trim())) ? "Copied" : "Not copied";
    this.acts.say(button.textContent);
    setTimeout(() => (button.textContent = "Copy"), COPIED_MS);
  }
}

/** `content`: an element, or text, which stays text. */
function chip(content) {
  const element = document.createElement("li");
  element.append(content);
  return element;
}

function status({ state, problem }, loading) {
  if (state === "waiting") return "Waiting";
  if (state === "working") return loading ? "Loading the model…" : "Looking…";
  if (state === "pausing") return `Trying again in ${Math.ceil(problem.retryAfter)} s`;
  return "";
}

function duration(seconds) {
  return seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : `${seconds.toFixed(1)} s`;
}
