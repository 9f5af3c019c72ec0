/** Connects the parts of the status page: what the service tells every two seconds, and what an admin does. */

import { Charts } from "./charts.js";
import { ofModel, ofService } from "./figures.js";
import { History } from "./history.js";
import { Samples } from "./metrics.js";
import { ModelRows } from "./model-rows.js";
import { Source } from "./source.js";
import { sure } from "./sure.js";

const EVERY_MS = 2000;
const KEPT_MS = 20_000; // of whole samples, for rates

const at = (id) => document.getElementById(id);
const watcher = new Source({
  slot: "looksee-metrics-key",
  title: "The metrics of this service ask for a key",
  hint: "It is the service's LOOKSEE_METRICS_KEY, and kept until this tab is closed.",
});
const admin = new Source({
  slot: "looksee-admin-key",
  title: "The key of this service's admins",
  hint: "It is the service's API_KEY, and kept until this tab is closed.",
});
const history = new History();
const charts = new Charts(at("charts"), at("chart"));
const rows = new ModelRows(at("models"), at("row"), { load, unload });
const moments = []; // {time, samples}, the newest last
let isAdmin = false;
let declined = false; // the key of the metrics, until somebody asks for it again

async function look() {
  try {
    const [text, health] = await Promise.all([watcher.text("/metrics"), watcher.json("/health")]);
    take(Date.now(), new Samples(text), health);
    await showDetails();
    showProblem("");
  } catch (error) {
    if (error.isKey && !declined) declined = !(await watcher.enter());
    showProblem(error.message);
  }
  setTimeout(look, EVERY_MS);
}

function take(time, samples, { models, redis, version, environment }) {
  moments.push({ time, samples });
  while (moments[0].time < time - KEPT_MS) moments.shift();
  rows.showStates(models);
  const figures = ofService(moments);
  const each = Object.fromEntries(rows.names.map((name) => [name, ofModel(moments, name)]));
  const running = Object.entries(each).map(([name, one]) => [`running ${name}`, one.running]);
  history.add(time, { ...figures, ...Object.fromEntries(running) });
  const seconds = Number(document.querySelector('input[name="span"]:checked').value);
  charts.show(figures, history, seconds);
  for (const [name, one] of Object.entries(each)) {
    rows.showFigures(name, one, history.last(`running ${name}`, seconds), seconds);
  }
  const ready = Object.values(models).filter((state) => state === "ready").length;
  at("summary").textContent = `${ready} of ${Object.keys(models).length} models loaded`;
  at("version").textContent = `Looksee ${version}`;
  at("environment").textContent = environment;
  at("redis").textContent = `cache: ${redis}`;
  at("redis").dataset.state = redis;
}

/** What only an admin may see. A service without a key of its own shows it to everybody, or to nobody. */
async function showDetails() {
  try {
    rows.showDetails(admin.hasKey || isAdmin ? (await admin.json("/api/admin/models")).models : null);
    isAdmin = admin.hasKey;
  } catch (error) {
    if (!error.isKey) throw error;
    admin.forget();
    isAdmin = false;
    rows.showDetails(null);
    say(error.message);
  }
  at("admin").textContent = isAdmin ? "Forget the key" : "Admin…";
  for (const one of document.querySelectorAll(".head .for-admins, thead .for-admins")) one.hidden = !isAdmin;
}

async function load(name) {
  await act(`Loading ${name}…`, () => admin.json(`/api/admin/models/${name}/load`, { method: "POST", long: true }), () => `${name} is loaded.`);
}

async function unload(name) {
  const question = { title: `Unload ${name}?`, text: "It is released when its requests are answered. The next request loads it again.", yes: "Unload" };
  if (!(await sure(at("sure"), question))) return;
  await act(`Unloading ${name}…`, () => admin.json(`/api/admin/models/${name}/unload`, { method: "POST", long: true }), () => `${name} is unloaded.`);
}

async function resetCache() {
  const question = { title: "Empty the cache?", text: "Every cached answer of this service is forgotten and has to be computed again.", yes: "Empty it" };
  if (!(await sure(at("sure"), question))) return;
  await act("Emptying the cache…", () => admin.json("/api/admin/reset-cache", { method: "POST" }), ({ deleted }) => `The cache is empty: ${deleted} forgotten.`);
}

/** Say what is done, do it, and say what came of it. */
async function act(doing, done, told) {
  say(doing);
  try {
    say(told(await done()));
    await showDetails();
  } catch (error) {
    say(error.message);
  }
}

function say(text) {
  at("done").textContent = text;
}

function showProblem(text) {
  at("problem").textContent = text;
  at("problem").hidden = !text;
}

at("reset-cache").addEventListener("click", resetCache);
at("admin").addEventListener("click", async () => {
  say("");
  if (isAdmin) admin.forget();
  else if (!(await admin.enter())) return;
  isAdmin = false;
  await showDetails().catch((error) => say(error.message));
});
at("admin").textContent = "Admin…";
look();
