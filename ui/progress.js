/** The progress of the work under way: a bar, a line of words, and now and then a word for screen readers. */

const ANNOUNCE_MS = 2500; // apart: a count for each picture would drown everything else

export class Progress {
  #bar;
  #line;
  #live;
  #announced = 0;
  #round = new Set(); // the pictures asked about since the last rest
  #resting = true;

  constructor({ bar, line, live }) {
    this.#bar = bar;
    this.#line = line;
    this.#live = live;
  }

  /** Show where `pictures`, all there are, have come to. */
  show(pictures) {
    const open = pictures.filter((picture) => !picture.settled);
    if (this.#resting) this.#round.clear();
    for (const picture of open) this.#round.add(picture);
    this.#keep(pictures);
    const done = this.#round.size - open.length;
    const working = open.length > 0;
    this.#bar.hidden = !working;
    this.#bar.max = Math.max(1, this.#round.size);
    this.#bar.value = done;
    const text = working ? `${done} of ${this.#round.size} done` : summary(pictures);
    if (this.#line.textContent !== text) this.#line.textContent = text;
    this.#announce(text, working);
    this.#resting = !working;
  }

  /** Say something at once. */
  say(text) {
    this.#live.textContent = text;
    this.#announced = Date.now();
  }

  #keep(pictures) {
    const there = new Set(pictures);
    for (const picture of this.#round) if (!there.has(picture)) this.#round.delete(picture);
  }

  #announce(text, working) {
    const ended = !working && !this.#resting;
    const due = working && Date.now() - this.#announced > ANNOUNCE_MS;
    if (ended || due) this.say(text);
  }
}

/** "12 captions, 3 from cache, 1 failed" */
function summary(pictures) {
  const answered = pictures.filter((picture) => picture.state === "done");
  const cached = answered.filter((picture) => picture.answer.cache).length;
  const failed = pictures.filter((picture) => picture.state === "failed").length;
  return [
    `${answered.length} ${answered.length === 1 ? "caption" : "captions"}`,
    cached > 0 && `${cached} from cache`,
    failed > 0 && `${failed} failed`,
  ]
    .filter(Boolean)
    .join(", ");
}
