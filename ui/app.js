/** The page, wired in one place: pictures come in, are asked about a few at a time, and are shown as cards. */

import { Card } from "./card.js";
import { onChoose, onDrop, onPaste } from "./intake.js";
import { Models } from "./models.js";
import { Picture } from "./picture.js";
import { Progress } from "./progress.js";
import { watch } from "./pulse.js";
import { Queue } from "./queue.js";
import { saveCsv, saveJson } from "./results.js";

const AT_A_TIME = 4; // below the six connections that a browser opens to one host
const SAMPLE = "/ui/sample.png";
const REDIS = { up: "Redis up, answers are cached", down: "Redis down, nothing is cached", off: "no cache" };

const at = (id) => document.getElementById(id);
const cards = new Map(); // picture -> its card, in the order of the page
const progress = new Progress({ bar: at("bar"), line: at("line"), live: at("live") });
const models = new Models(at("model"), at("model-dot"), refresh);
const queue = new Queue(AT_A_TIME, (picture, signal) => picture.ask(signal, () => changed(picture)));
const ACTS = { retry: (picture) => ask([picture]), remove, say: (text) => progress.say(text) };
const look = watch(showHealth);

onDrop(at("veil"), add);
onPaste(add);
onChoose(document.querySelectorAll(".choose"), at("files"), add);
at("question").addEventListener("submit", (event) => {
  event.preventDefault();
  ask(pictures());
});
at("prompt").addEventListener("input", refresh);
at("again").addEventListener("click", () => ask(pictures()));
at("retry-failed").addEventListener("click", () => {
  at("again").focus(); // the button is about to vanish
  ask(failed());
});
at("save-json").addEventListener("click", () => saveJson(pictures()));
at("save-csv").addEventListener("click", () => saveCsv(pictures()));
at("clear").addEventListener("click", clear);
for (const button of document.querySelectorAll(".try")) button.addEventListener("click", trySample);

function pictures() {
  return [...cards.keys()];
}

function failed() {
  return pictures().filter((picture) => picture.state === "failed");
}

function question() {
  return { model: models.chosen, prompt: at("prompt").value.trim() };
}

function add(files) {
  const added = files.map((file) => new Picture(file));
  for (const picture of added) {
    const card = new Card(at("card"), picture, ACTS);
    cards.set(picture, card);
    at("cards").append(card.element);
  }
  ask(added);
}

/** Ask about `asked`, from the start, with the question as it stands now. */
function ask(asked) {
  if (asked.length === 0) return;
  queue.drop(asked);
  for (const picture of asked) {
    picture.renew(question());
    cards.get(picture).update();
  }
  queue.add(asked);
  refresh();
  look();
}

function changed(picture) {
  const card = cards.get(picture);
  if (!card) return;
  showCard(card);
  refresh();
  if (picture.state === "done" && models.isLoading(picture.question.model)) look(); // no longer, it seems
}

function showCard(card) {
  card.update({ loading: models.isLoading(card.picture.question?.model) });
}

function remove(picture) {
  const order = pictures();
  const place = order.indexOf(picture);
  queue.drop([picture]);
  cards.get(picture).close();
  cards.delete(picture);
  refresh();
  // Focus would fall back to the top of the page with the button that had it.
  const neighbour = cards.get(order[place + 1] ?? order[place - 1]);
  if (neighbour) neighbour.focus();
  else at("choose").focus();
}

function clear() {
  queue.drop(pictures());
  for (const card of cards.values()) card.close();
  cards.clear();
  refresh();
  progress.say("Cleared");
  at("choose").focus();
}

async function trySample() {
  try {
    const response = await fetch(SAMPLE);
    if (!response.ok) throw new Error(`status ${response.status}`);
    add([new File([await response.blob()], "sample.png", { type: "image/png" })]);
  } catch {
    progress.say("The sample picture could not be fetched.");
    showHealth(null);
  }
}

/** Everything on the page that depends on all pictures together. */
function refresh() {
  const all = pictures();
  document.body.classList.toggle("empty", all.length === 0);
  progress.show(all);
  at("retry-failed").hidden = failed().length === 0;
  at("retry-failed").textContent = `Retry ${failed().length} failed`;
  for (const id of ["save-json", "save-csv"]) at(id).disabled = !all.some((picture) => picture.settled);
  at("again").classList.toggle("due", all.some(outdated));
  at("sample-weights").hidden = !all.some((picture) => picture.answer?.weights === "sample");
}

/** Whether the question on the page is another than the one `picture` was asked. */
function outdated(picture) {
  const { model, prompt } = question();
  const { model: itsModel, prompt: itsPrompt } = picture.question;
  return itsPrompt !== prompt || (itsModel !== "" && itsModel !== model);
}

function showHealth(health) {
  at("unreachable").hidden = health !== null;
  models.show(health?.models ?? null);
  for (const card of cards.values()) if (card.picture.state === "working") showCard(card);
  if (!health) return;
  at("version").textContent = `Looksee ${health.version}`;
  at("environment").textContent = health.environment;
  at("redis").textContent = REDIS[health.redis] ?? `Redis ${health.redis}`;
  at("redis").dataset.state = health.redis;
}
