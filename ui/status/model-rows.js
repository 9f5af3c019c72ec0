/** The table's rows: a model's state and figures, for an admin also its memory and what can be done with it. */

import { draw } from "./chart.js";
import { ago, bytes, plain, time } from "./numbers.js";

const STATES = { unloaded: "not loaded", waiting: "in line", loading: "loading…", ready: "ready", failed: "failed" };

export class ModelRows {
  #body;
  #template;
  #acts;
  #rows = new Map();

  /** `acts`: `{load, unload}`, called with a model's name. */
  constructor(body, template, acts) {
    this.#body = body;
    this.#template = template;
    this.#acts = acts;
  }

  get names() {
    return [...this.#rows.keys()];
  }

  /** `states`: name to state, as in /health. */
  showStates(states) {
    for (const [name, state] of Object.entries(states)) {
      const row = this.#rows.get(name) ?? this.#made(name);
      row.dataset.state = state;
      row.querySelector(".word").textContent = STATES[state] ?? state;
    }
    for (const name of this.names.filter((one) => !(one in states))) {
      this.#rows.get(name).remove();
      this.#rows.delete(name);
    }
  }

  showFigures(name, { running, waiting, rows, first, tokens }, points, seconds) {
    const row = this.#rows.get(name);
    const say = (cell, text) => (row.querySelector(cell).textContent = text);
    say(".running", plain(running));
    say(".waiting", plain(waiting));
    say(".rows", plain(rows));
    say(".first", time(first));
    say(".tokens", plain(tokens));
    const most = Math.max(...points.map(([, value]) => value), 0);
    const line = row.querySelector("svg");
    line.setAttribute("aria-label", `rows running, at most ${plain(most)}`);
    draw(line, points, seconds, most);
  }

  /** `models`: as in /api/admin/models; null for who is no admin. */
  showDetails(models) {
    for (const [name, row] of this.#rows) {
      const model = models?.[name];
      for (const cell of row.querySelectorAll(".for-admins")) cell.hidden = !models;
      if (!model) continue;
      const device = model.device_memory_bytes ? ` + ${bytes(model.device_memory_bytes)} on it` : "";
      row.querySelector(".memory").textContent = bytes(model.memory_bytes) + device;
      row.querySelector(".device").textContent = model.state === "ready" ? model.device : "–";
      row.querySelector(".last").textContent = ago(model.last_use);
      row.querySelector("th").classList.toggle("pinned", Boolean(model.pinned));
      const act = row.querySelector(".act");
      act.dataset.act = model.state === "ready" ? "unload" : "load";
      act.textContent = model.state === "ready" ? "Unload…" : "Load";
      act.setAttribute("aria-label", `${act.textContent} ${name}`);
      act.disabled = ["loading", "waiting", "unreachable"].includes(model.state);
      row.title = model.error?.message ?? "";
    }
  }

  #made(name) {
    const row = this.#template.content.firstElementChild.cloneNode(true);
    row.querySelector("th").textContent = name;
    const act = row.querySelector(".act");
    act.addEventListener("click", () => this.#acts[act.dataset.act](name));
    this.#rows.set(name, row);
    this.#body.append(row);
    return row;
  }
}
