/** The progress of the running jobs: a bar, a line of text, and announcements for screen readers. */

import { FINDS } from "../requests/request.js";
import { counted } from "../common/words.js";

const ANNOUNCE_MS = 2500; // between two announcements: one a picture would interrupt all else that is read
const NOUNS = { caption: "caption", all: "caption", ask: "answer", detect: "box", point: "point" };

export class Progress {
  #bar;
  #line;
  #live;
  #announced = 0;
  #round = new Set(); // the jobs since nothing was running
  #resting = true;
  #kind = "";

  constructor({ bar, line, live }) {
    this.#bar = bar;
    this.#line = line;
    this.#live = live;
  }

  /** Show the progress of `jobs`, which are all jobs of a kind; `pictures`: how many are on the page. */
  show(jobs, kind, pictures) {
    const open = jobs.filter((job) => !job.settled);
    if (this.#resting || kind !== this.#kind) this.#round.clear();
    for (const job of open) this.#round.add(job);
    this.#keep(jobs);
    const done = this.#round.size - open.length;
    const working = open.length > 0;
    this.#bar.hidden = !working || this.#round.size === 1; // one job has no fraction to show
    this.#bar.max = Math.max(1, this.#round.size);
    this.#bar.value = done;
    const rest = summary(jobs, kind) || counted(pictures, "picture");
    const text = !working ? rest : this.#round.size === 1 ? "1 under way" : `${done} of ${this.#round.size} done`;
    if (this.#line.textContent !== text) this.#line.textContent = text;
    if (kind === this.#kind) this.#announce(text, working);
    this.#resting = !working;
    this.#kind = kind;
  }

  /** Announce `text` at once. */
  say(text) {
    this.#live.textContent = text;
    this.#announced = Date.now();
  }

  #keep(jobs) {
    const there = new Set(jobs);
    for (const job of this.#round) if (!there.has(job)) this.#round.delete(job);
  }

  #announce(text, working) {
    const ended = !working && !this.#resting;
    const due = working && Date.now() - this.#announced > ANNOUNCE_MS;
    if (ended || due) this.say(text);
  }
}

/** "12 captions, 3 from cache, 1 failed" or "5 boxes in 2 pictures"; empty when nothing was asked. */
function summary(jobs, kind) {
  if (jobs.length === 0) return "";
  const answered = jobs.filter((job) => job.state === "done");
  const cached = answered.filter((job) => job.answer.cache).length;
  const failed = jobs.filter((job) => job.state === "failed").length;
  return [harvest(answered, kind), cached > 0 && `${cached} from cache`, failed > 0 && `${failed} failed`]
    .filter(Boolean)
    .join(", ");
}

function harvest(answered, kind) {
  if (!FINDS.includes(kind)) return counted(answered.length, NOUNS[kind]);
  const things = answered.reduce((sum, { answer }) => sum + answer.things.length, 0);
  return `${counted(things, NOUNS[kind])} in ${counted(answered.length, "picture")}`;
}
