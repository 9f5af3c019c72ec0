/** The charts of the whole service. */

import { draw } from "./chart.js";
import { percent, plain, time } from "./numbers.js";

const rate = (value) => `${plain(value)}/s`;

// In the order shown: the series, its title, and how a number of it is written.
const CHARTS = [
  ["answers", "Requests", rate],
  ["running", "Rows running", plain],
  ["waiting", "Rows waiting", plain],
  ["rows", "Rows in a step", plain],
  ["first", "Time to first token", time],
  ["tokens", "New tokens", rate],
  ["hits", "Cache hits", percent],
  ["errors", "Errors", rate],
];

export class Charts {
  #items = new Map();

  constructor(list, template) {
    for (const [key, title] of CHARTS) {
      const item = template.content.firstElementChild.cloneNode(true);
      item.dataset.series = key;
      item.querySelector("h3").textContent = title;
      this.#items.set(key, item);
      list.append(item);
    }
  }

  /** `figures`: what is now; `history` has what was, of which the last `seconds` are drawn. */
  show(figures, history, seconds) {
    for (const [key, title, written] of CHARTS) {
      const item = this.#items.get(key);
      const points = history.last(key, seconds);
      const most = Math.max(...points.map(([, value]) => value), 0);
      item.querySelector(".now").textContent = written(figures[key] ?? null).replace("–/s", "–");
      item.querySelector(".most").textContent = points.length ? `at most ${written(most)}` : "nothing yet";
      const line = item.querySelector("svg");
      line.setAttribute("aria-label", `${title}, at most ${written(most)}`);
      draw(line, points, seconds, key === "hits" ? 1 : most);
    }
  }
}
