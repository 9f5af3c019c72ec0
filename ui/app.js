/** Connects the parts of the page: added pictures become jobs, a few jobs run at a time, and answers are shown. */

import { Collective } from "./answers/collective.js";
import { Progress } from "./answers/progress.js";
import { saveCoco, saveCsv, saveJson } from "./answers/results.js";
import { reveal } from "./common/reveal.js";
import { at, fields, footer, templates } from "./elements.js";
import * as address from "./panel/address.js";
import { Composer } from "./panel/composer.js";
import { samples, showEmptyState } from "./panel/empty-state.js";
import { Models } from "./panel/models.js";
import { Modes } from "./panel/modes.js";
import { hasDue, isDue, showRun } from "./panel/run-button.js";
import { showService } from "./panel/service-state.js";
import { Cards } from "./pictures/cards.js";
import { onChoose, onDrop, onPaste } from "./pictures/file-input.js";
import { Picture } from "./pictures/picture.js";
import { onReorder } from "./pictures/reorder.js";
import { watch } from "./requests/health.js";
import { Job } from "./requests/job.js";
import { Queue } from "./requests/queue.js";
import { EACH, KINDS, WORDED } from "./requests/request.js";
import { catalogue } from "./requests/service.js";
import { Snippet } from "./requests/snippet.js";
import { status } from "./requests/status.js";

const AT_A_TIME = 4; // below the six connections that a browser opens to one host
const TICK_MS = 1000;

const ACTS = {
  retry,
  remove,
  move,
  status: (job) => status(job, models),
  ask: askOne,
  say: (text) => progress.say(text),
  continues: (model) => models.continues(model),
};
const progress = new Progress({ bar: at("bar"), line: at("line"), live: at("live") });
const queue = new Queue(AT_A_TIME, (job, signal) => job.run(signal, () => changed(job)));
const spoken = new WeakSet(); // questions about one picture, whose answers are read out
const cards = new Cards(at("cards"), templates, ACTS);
const collective = new Collective({ slot: at("collective"), hint: at("order-hint") }, at("outcome"), ACTS);
const composer = new Composer(fields, refresh, run);
const models = new Models({ list: at("models"), template: at("tile"), facts: at("facts") }, modelChanged);
const modes = new Modes({ list: at("modes"), reasons: at("reasons") }, modeChanged, useFor);
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
  at("run").focus(); // the button will be hidden
  for (const job of failed()) retry(job);
});
at("save-json").addEventListener("click", () => saveJson(jobs(), modes.chosen));
at("save-csv").addEventListener("click", () => saveCsv(jobs(), modes.chosen));
at("save-coco").addEventListener("click", () => saveCoco(jobs()));
at("show-code").addEventListener("click", showCode);
at("clear").addEventListener("click", clear);
at("try").addEventListener("click", trySample);
addEventListener("hashchange", followAddress);
setInterval(tick, TICK_MS);
refresh();

function jobs(kind = modes.chosen) {
  return kind === "all" ? collective.jobs : cards.pictures.flatMap((picture) => picture.jobs(kind));
}

function failed() {
  return jobs().filter((job) => job.state === "failed");
}

/** The question as the page's fields have it now. */
function question(kind = modes.chosen) {
  return { kind, model: models.chosen?.id ?? "", ...composer.question(kind) };
}

function add(files) {
  const added = files.map((file) => new Picture(file));
  added.forEach((picture) => cards.add(picture));
  cards.update(modes.chosen);
  if (EACH.includes(modes.chosen) && isSaid(modes.chosen)) askEach(modes.chosen, added);
  else refresh();
  if (added.length > 0) reveal(at("results"));
}

/** Whether a kind of question has all that it needs beside the pictures. */
function isSaid(kind) {
  return !WORDED.includes(kind) || question(kind).words !== "";
}

/** Ask what the page's fields say, about all pictures. */
function run() {
  const { pictures } = cards;
  const kind = modes.chosen;
  if (!isSaid(kind)) {
    composer.focusWords();
  } else if (pictures.length === 0) {
    progress.say("Choose a picture first");
    at("choose").focus();
  } else if (EACH.includes(kind)) {
    const due = pictures.filter((picture) => isDue(picture, question()));
    askEach(kind, due.length > 0 ? due : pictures);
  } else if (kind === "all") {
    captionCollective();
  } else {
    for (const picture of pictures) picture.thread.push(new Job(question(), [picture]));
    send(pictures.map((picture) => picture.thread.at(-1)));
    composer.focusWords();
  }
}

/** Ask about each picture; the new job replaces the last one of this kind. */
function askEach(kind, pictures, asked = question(kind)) {
  queue.drop(pictures.map((picture) => picture.newest[kind]));
  for (const picture of pictures) picture.newest[kind] = new Job(asked, [picture]);
  send(pictures.map((picture) => picture.newest[kind]));
}

function captionCollective() {
  queue.drop(collective.jobs);
  collective.job = new Job(question("all"), cards.pictures);
  send([collective.job]);
}

/** Ask about one picture alone, from its card. */
function askOne(picture, words) {
  const job = new Job({ ...question("ask"), words }, [picture]);
  picture.thread.push(job);
  spoken.add(job);
  send([job]);
}

/** Ask again what failed: the same words, with the model and the options that are chosen now. */
function retry(job) {
  const [picture] = job.pictures;
  const { kind, words } = job.question;
  if (kind === "all") return captionCollective();
  if (kind !== "ask") return askEach(kind, [picture], { ...question(kind), words });
  const again = new Job({ ...question("ask"), words }, [picture]);
  picture.thread.splice(picture.thread.indexOf(job), 1, again);
  return send([again]);
}

function send(asked) {
  queue.add(asked);
  for (const job of asked) showJob(job);
  refresh();
  look();
}

function changed(job) {
  if (job.question.kind === "all" ? job !== collective.job : !cards.has(job.pictures[0])) return;
  showJob(job);
  refresh();
  if (spoken.has(job) && job.state === "done") progress.say(job.answer.text);
  if (job.state === "done" && models.isAway(job.question.model)) look(); // the answer shows that it is loaded now
}

function showJob(job) {
  if (job.question.kind === "all") collective.update(cards.pictures);
  else cards.renew(job.pictures[0], modes.chosen);
}

function remove(picture) {
  queue.drop(picture.asked);
  if (collective.job?.pictures.includes(picture) && !collective.job.settled) {
    queue.drop(collective.jobs);
    collective.job = null;
  }
  // The focused button goes with its card: without this, the focus would return to the top of the page.
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
  for (const kind of Object.keys(KINDS)) queue.drop(jobs(kind));
  collective.job = null;
  cards.clear();
  refresh();
  progress.say("Cleared");
  at("choose").focus();
}

async function trySample() {
  const kind = modes.chosen;
  if (WORDED.includes(kind)) composer.suggestOne();
  try {
    add(await samples(kind));
  } catch {
    progress.say("The sample picture could not be fetched.");
    showHealth(null);
    return;
  }
  if (!EACH.includes(kind)) run();
}

function showCode() {
  const names = cards.pictures.map((picture) => picture.name);
  const words = isSaid(modes.chosen) ? question().words : at("words").placeholder;
  snippet.open({ ...question(), words }, names.length > 0 ? names : ["picture.jpg"]);
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

/** Switch to a mode that the chosen model lacks, together with a model that has it. */
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
  const asked = jobs();
  document.body.classList.toggle("empty", all.length === 0);
  document.body.dataset.kind = kind;
  composer.show(kind, models.chosen);
  showEmptyState({ title: at("empty-title"), text: at("empty-text"), sample: at("try") }, kind);
  collective.update(all);
  progress.show(asked, kind, all.length);
  at("retry-failed").hidden = failed().length === 0;
  at("retry-failed").textContent = `Retry ${failed().length} failed`;
  for (const id of ["save-json", "save-csv", "save-coco"]) at(id).disabled = !asked.some((job) => job.settled);
  at("sample-weights").hidden = !asked.some((job) => job.answer?.weights === "sample");
  showRun(at("run"), {
    kind,
    number: all.length,
    fresh: !all.some((picture) => picture.newest[kind]),
    written: collective.job?.about(all),
    due: isSaid(kind) && hasDue(question(), all, collective.job),
  });
  if (models.chosen) address.choose(models.chosen.id, kind);
}

function tick() {
  if (!queue.busy) return;
  cards.tick();
  collective.tick();
}

function showHealth(health) {
  at("unreachable").hidden = health !== null;
  models.show(health?.models ?? null);
  if (models.known) modes.show(models.chosen, (kind) => models.bestFor(kind));
  else if (health) offerModels();
  tick();
  if (health) showService(footer, health);
}

async function offerModels() {
  const entries = await catalogue().catch(() => []);
  if (models.known || entries.length === 0) return; // the next look at the service's health tries again
  const { model, kind } = address.chosen();
  models.offer(entries, model);
  modes.choose(kind);
  look();
}
