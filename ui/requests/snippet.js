/** The dialog with the code for a question. */

import { copy } from "../common/clipboard.js";
import { curl, python } from "./code.js";

const COPIED_MS = 1600;

export class Snippet {
  #dialog;

  constructor(dialog, say) {
    this.#dialog = dialog;
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    // A click on the backdrop is one on the dialog itself; what it shows lies in its child.
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    for (const block of dialog.querySelectorAll(".block")) {
      const button = block.querySelector("button");
      button.addEventListener("click", async () => {
        button.textContent = (await copy(block.querySelector("code").textContent, dialog)) ? "Copied" : "Not copied";
        say(button.textContent);
        setTimeout(() => (button.textContent = "Copy"), COPIED_MS);
      });
    }
  }

  /** `names`: of the files that the code is about. */
  open(question, names) {
    const texts = { curl: curl(question, names, location.origin), python: python(question, names, location.origin) };
    for (const [language, text] of Object.entries(texts)) {
      this.#dialog.querySelector(`[data-language=${language}] code`).textContent = text;
    }
    this.#dialog.showModal();
  }
}
