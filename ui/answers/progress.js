/** The progress of the work under way: a bar, a line of words, and now and then a word for screen readers. */

import { FINDS } from "../requests/request.js";
import { counted } from "../common/words.js";

const ANNOUNCE_MS = 2500; // apart: a count for each picture would drown everything else
const NOUNS = { caption: "caption", all: "caption", ask: "answer", detect: "box", point: "point" };

export class Progress {
  #bar;
  #line;
  #live;
  #announced = 0;
  #round = new Set(); // what was asked since the last rest
  #resting = true;
  #kind = "";

  constructor({ bar, line, live }) {
    this.#bar = bar;
    this.#line = line;
    this.#live = live;
  }

  /** Show where `askings`, all there are of a kind, have come to, on a page with `pictures` pictures. */
  show(askings, kind, pictures) {
    const open = askings.filter((asking) => !asking.settled);
    if (this.#resting || kind !== this.#kind) this.#round.clear();
    for (const asking of open) this.#round.add(asking);
    this.#keep(askings);
    const done = this.#round.size - open.length;
    const working = open.length > 0;
    this.#bar.hidden = !working || this.#round.size === 1; // of one thing there is no part
    this.#bar.max = Math.max(1, this.#round.size);
    this.#bar.value = done;
    const rest = summary(askings, kind) || counted(pictures, "picture");
    const text = !working ? rest : this.#round.size === 1 ? "1 under way" : `${done} of ${this.#round.size} done`;
    if (this.#line.textContent !== text) this.#line.textContent = text;
    if (kind === this.#kind) this.#announce(text, working);
    this.#resting = !working;
    this.#kind = kind;
  }

  /** Say something at once. */
  say(text) {
    this.#live.textContent = text;
    this.#announced = Date.now();
  }

  #keep(askings) {
    const there = new Set(askings);
    for (const asking of this.#round) if (!there.has(asking)) this.#round.delete(asking);
  }

  #announce(text, working) {
    const ended = !working && !this.#resting;
    const due = working && Date.now() - this.#announced > ANNOUNCE_MS;
    if (ended || due) this.say(text);
  }
}

/** "12 captions, 3 from cache, 1 failed" or "5 boxes in 2 pictures"; empty when nothing was asked. */
function summary(askings, kind) {
  if (askings.length === 0) return "";
  const answered = askings.filter((asking) => asking.state === "done");
  const cached = answered.filter((asking) => asking.answer.cache).length;
  const failed = askings.filter((asking) => asking.state === "failed").length;
  return [harvest(answered, kind), cached > 0 && `${cached} from cache`, failed > 0 && `${failed} failed`]
    .filter(Boolean)
    .join(", ");
}

function harvest(answered, kind) {
  if (!FINDS.includes(kind)) return counted(answered.length, NOUNS[kind]);
  const things = answered.reduce((sum, { answer }) => sum + answer.things.length, 0);
  return `${counted(things, NOUNS[kind])} in ${counted(answered.length, "picture")}`;
}
