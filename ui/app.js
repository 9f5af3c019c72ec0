/** The page, wired in one place: pictures come in, questions about them go out a few at a time, answers are shown. */

import * as address from "./address.js";
import { Asking } from "./asking.js";
import { Cards } from "./cards.js";
import { Composer } from "./composer.js";
import { onChoose, onDrop, onPaste } from "./intake.js";
import { invite, samples } from "./invitation.js";
import { Models } from "./models.js";
import { Modes } from "./modes.js";
import { Picture } from "./picture.js";
import { Progress } from "./progress.js";
import { watch } from "./pulse.js";
import { Queue } from "./queue.js";
import { onReorder } from "./reorder.js";
import { saveCsv, saveJson } from "./results.js";
import { catalogue } from "./service.js";
import { Snippet } from "./snippet.js";
import { Together } from "./together.js";

const AT_A_TIME = 4; // below the six connections that a browser opens to one host
const TICK_MS = 1000;
const REDIS = { up: "Redis up, answers are cached", down: "Redis down, nothing is cached", off: "no cache" };

const at = (id) => document.getElementById(id);
const ACTS = { retry, remove, move, status, ask: askOne, say: (text) => progress.say(text) };
const templates = { card: at("card"), outcome: at("outcome"), entry: at("entry") };
const progress = new Progress({ bar: at("bar"), line: at("line"), live: at("live") });
const queue = new Queue(AT_A_TIME, (asking, signal) => asking.run(signal, () => changed(asking)));
const spoken = new WeakSet(); // questions about one picture, whose answers are read out
const cards = new Cards(at("cards"), templates, ACTS);
const together = new Together({ slot: at("together"), hint: at("order-hint") }, at("outcome"), ACTS);
const composer = new Composer(
  {
    prompt: at("prompt"),
    promptLabel: at("prompt-label"),
    promptHint: at("prompt-hint"),
    flag: at("flag"),
    flagHint: at("flag-hint"),
    words: at("words"),
    suggestions: at("suggestions"),
  },
  refresh,
  run,
);
const models = new Models({ list: at("models"), template: at("tile"), facts: at("facts") }, modelChanged);
const modes = new Modes(at("modes"), modeChanged, useFor);
const snippet = new Snippet(at("snippet"), ACTS.say);
const look = watch(showHealth, () => queue.busy && models.isAway(models.chosen?.id));

onDrop(at("veil"), add);
onPaste(add);
onChoose(document.querySelectorAll(".choose"), at("files"), add);
onReorder(at("cards"), () => {
  cards.reorder();
  refresh();
});
at("question").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
at("retry-failed").addEventListener("click", () => {
  at("run").focus(); // the button is about to vanish
  for (const asking of failed()) retry(asking);
});
at("save-json").addEventListener("click", () => saveJson(askings(), modes.chosen));
at("save-csv").addEventListener("click", () => saveCsv(askings(), modes.chosen));
at("show-code").addEventListener("click", showCode);
at("clear").addEventListener("click", clear);
at("try").addEventListener("click", trySample);
addEventListener("hashchange", followAddress);
setInterval(tick, TICK_MS);
refresh();

function askings(kind = modes.chosen) {
  return kind === "all" ? together.askings : cards.pictures.flatMap((picture) => picture.askings(kind));
}

function failed() {
  return askings().filter((asking) => asking.state === "failed");
}

/** The question as the page's fields have it now. */
function question(kind = modes.chosen) {
  return { kind, model: models.chosen?.id ?? "", ...composer.question(kind) };
}

function add(files) {
  const added = files.map((file) => new Picture(file));
  added.forEach((picture) => cards.add(picture));
  cards.update(modes.chosen);
  if (modes.chosen === "caption") caption(added);
  else refresh();
  if (added.length > 0) reveal(at("results"));
}

/** Ask what the page's fields say, about all pictures. */
function run() {
  const { pictures } = cards;
  const kind = modes.chosen;
  if (kind === "ask" && !question().words) {
    composer.focusWords();
  } else if (pictures.length === 0) {
    progress.say("Choose a picture first");
    at("choose").focus();
  } else if (kind === "caption") {
    const due = pictures.filter(isDue);
    caption(due.length > 0 ? due : pictures);
  } else if (kind === "all") {
    captionTogether();
  } else {
    for (const picture of pictures) picture.thread.push(new Asking(question(), [picture]));
    send(pictures.map((picture) => picture.thread.at(-1)));
    composer.focusWords();
  }
}

function caption(pictures) {
  queue.drop(pictures.map((picture) => picture.caption));
  for (const picture of pictures) picture.caption = new Asking(question("caption"), [picture]);
  send(pictures.map((picture) => picture.caption));
}

function captionTogether() {
  queue.drop(together.askings);
  together.asking = new Asking(question("all"), cards.pictures);
  send([together.asking]);
}

/** Ask about one picture alone, from its card. */
function askOne(picture, words) {
  const asking = new Asking({ ...question("ask"), words }, [picture]);
  picture.thread.push(asking);
  spoken.add(asking);
  send([asking]);
}

/** Ask again what failed; questions stay, the rest is as the page has it now. */
function retry(asking) {
  const [picture] = asking.pictures;
  if (asking.question.kind === "caption") return caption([picture]);
  if (asking.question.kind === "all") return captionTogether();
  const again = new Asking({ ...question("ask"), words: asking.question.words }, [picture]);
  picture.thread.splice(picture.thread.indexOf(asking), 1, again);
  return send([again]);
}

function send(asked) {
  queue.add(asked);
  for (const asking of asked) showAsking(asking);
  refresh();
  look();
}

function changed(asking) {
  if (asking.question.kind === "all" ? asking !== together.asking : !cards.has(asking.pictures[0])) return;
  showAsking(asking);
  refresh();
  if (spoken.has(asking) && asking.state === "done") progress.say(asking.answer.text);
  if (asking.state === "done" && models.isAway(asking.question.model)) look(); // no longer, it seems
}

function showAsking(asking) {
  if (asking.question.kind === "all") together.update(cards.pictures);
  else cards.renew(asking.pictures[0], modes.chosen);
}

/** What a question waits for, in words. */
function status({ state, problem, question: { model } }) {
  if (state === "waiting") return "Waiting";
  if (state === "pausing") return `Trying again in ${Math.ceil(problem.retryAfter)} s`;
  if (state !== "working") return "";
  if (models.state(model) === "waiting") return `${models.title(model)} waits for its place in memory…`;
  return models.isAway(model) ? `Loading ${models.title(model)}…` : "Looking…";
}

function remove(picture) {
  queue.drop([picture.caption, ...picture.thread]);
  if (together.asking?.pictures.includes(picture) && !together.asking.settled) {
    queue.drop(together.askings);
    together.asking = null;
  }
  // Focus would fall back to the top of the page with the button that had it.
  const another = cards.remove(picture);
  refresh();
  if (!another) at("choose").focus();
}

function move(picture, by) {
  const place = cards.move(picture, by);
  progress.say(`${picture.name} is now ${place + 1} of ${cards.pictures.length}`);
  refresh();
}

function clear() {
  for (const kind of ["caption", "all", "ask"]) queue.drop(askings(kind));
  together.asking = null;
  cards.clear();
  refresh();
  progress.say("Cleared");
  at("choose").focus();
}

async function trySample() {
  try {
    add(await samples(modes.chosen));
  } catch {
    progress.say("The sample picture could not be fetched.");
    showHealth(null);
    return;
  }
  if (modes.chosen === "ask") composer.suggestOne();
  if (modes.chosen !== "caption") run();
}

function showCode() {
  const names = cards.pictures.map((picture) => picture.name);
  const asked = question();
  snippet.open(
    asked.kind === "ask" && !asked.words ? { ...asked, words: at("words").placeholder } : asked,
    names.length > 0 ? names : ["picture.jpg"],
  );
}

function modelChanged() {
  if (modes.show(models.chosen, (kind) => models.bestFor(kind))) {
    progress.say(`${models.chosen.title} cannot do that; back to captions`);
    modeChanged();
  } else {
    refresh();
  }
}

function modeChanged() {
  cards.update(modes.chosen);
  refresh();
}

/** To a mode that the chosen model cannot do, with a model that can. */
function useFor(kind) {
  models.choose(models.bestFor(kind).id);
  modes.choose(kind);
  modes.focus();
}

function followAddress() {
  const { model, kind } = address.chosen();
  models.choose(model);
  modes.choose(kind);
}

/** Everything on the page that depends on all pictures together, or on the choices. */
function refresh() {
  const all = cards.pictures;
  const kind = modes.chosen;
  const asked = askings();
  document.body.classList.toggle("empty", all.length === 0);
  document.body.dataset.kind = kind;
  composer.show(kind, models.chosen);
  invite({ title: at("invitation-title"), text: at("invitation-text"), sample: at("try") }, kind);
  together.update(all);
  progress.show(asked, kind, all.length);
  at("retry-failed").hidden = failed().length === 0;
  at("retry-failed").textContent = `Retry ${failed().length} failed`;
  for (const id of ["save-json", "save-csv"]) at(id).disabled = !asked.some((asking) => asking.settled);
  at("sample-weights").hidden = !asked.some((asking) => asking.answer?.weights === "sample");
  showRun(all, kind);
  if (models.chosen) address.choose(models.chosen.id, kind);
}

function showRun(all, kind) {
  const number = all.length > 1 ? `all ${all.length}` : "";
  const fresh = !all.some((picture) => picture.caption);
  const texts = {
    caption: fresh ? `Caption ${number}` : "Caption again",
    all: together.asking?.about(all) ? "Write again" : "Write caption",
    ask: number ? `Ask about ${number}` : "Ask",
  };
  at("run").textContent = texts[kind];
  const due = {
    caption: () => all.some(isDue),
    all: () => !together.asking?.is(question(), all),
    ask: () => question().words !== "",
  };
  at("run").classList.toggle("due", due[kind]());
}

/** Whether a picture's caption is missing, or answers another question than the one on the page. */
function isDue({ caption: asking }) {
  if (!asking) return true;
  const { model, prompt, flag } = question("caption");
  const its = asking.question;
  return its.prompt !== prompt || its.flag !== flag || (its.model !== "" && its.model !== model);
}

function tick() {
  if (!queue.busy) return;
  cards.tick();
  together.tick();
}

/** Where the page is one column, what was added would come in below the window's edge. */
function reveal(element) {
  const { top } = element.getBoundingClientRect();
  if (top > innerHeight * 0.6) element.scrollIntoView({ block: "start" });
}

function showHealth(health) {
  at("unreachable").hidden = health !== null;
  models.show(health?.models ?? null);
  if (models.known) modes.show(models.chosen, (kind) => models.bestFor(kind));
  else if (health) offerModels();
  tick();
  if (!health) return;
  at("version").textContent = `Looksee ${health.version}`;
  at("environment").textContent = health.environment;
  at("redis").textContent = REDIS[health.redis] ?? `Redis ${health.redis}`;
  at("redis").dataset.state = health.redis;
}

async function offerModels() {
  const entries = await catalogue().catch(() => []);
  if (models.known || entries.length === 0) return; // the next look at the service's health tries again
  const { model, kind } = address.chosen();
  models.offer(entries, model);
  modes.choose(kind);
  look();
}
