/** Calls of the service: answers about pictures, the catalogue of models, and health. */

import { FINDS, members, route, target } from "./request.js";
import { credentials, renewed } from "./key.js";
import { placed } from "../detections/places.js";

// The service gives up on its own well before this; only a connection that died silently takes so long.
const PATIENCE_MS = 150_000;
const SHORT_PATIENCE_MS = 8_000;
const LONGEST_PAUSE_SECONDS = 60;
const KEY_PROBLEMS = ["missing_key", "wrong_key"];

/** Any reason for the lack of an answer. `message` is a sentence for people, `code` a word for machines. */
export class ServiceError extends Error {
  constructor(message, { code, status = 0, retryAfter = null }) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter; // seconds, or null when the service named none
  }
}

/**
 * The service's answer to `question` about `files`: `{text, finish_reason, cache, model, revision, weights}`, of captions
 * in forms also `{tags, flagged, flag_evaluated, flag_confidence}`; of boxes and points `{things, size}` in the place of
 * the text. Only a question of the kind `all` is about several files. Throws ServiceError.
 */
export async function ask(question, files, signal) {
  const { form } = route(question);
  const sent = form ? asForm(files) : await asJson(question, files[0]);
  const { response, body } = await reach(target(question), { method: "POST", ...sent }, signal);
  const found = form && question.kind === "caption" ? body?.results?.[0] : body;
  const problem = found?.error ?? body?.error;
  const said = FINDS.includes(question.kind) ? placed(found, question.words) : worded(found, question);
  if (!response.ok || problem || !said) throw refusal(response, problem);
  return { ...found, ...said };
}

function worded(found, question) {
  const text = found?.[route(question).said];
  return typeof text === "string" ? { text } : null;
}

/** The catalogue: a list of `{id, title, licence, parameters, tasks, weights, ...}`. Throws ServiceError. */
export async function catalogue() {
  const { response, body } = await reach("/v1/models", { cache: "no-store" }, null, SHORT_PATIENCE_MS);
  if (!response.ok || !Array.isArray(body?.data)) throw refusal(response, body?.error);
  return body.data;
}

/** `{models, redis, version, environment, ...}`. Throws ServiceError. */
export async function health() {
  const { response, body } = await reach("/health", { cache: "no-store" }, null, SHORT_PATIENCE_MS);
  if (!response.ok || typeof body?.models !== "object") throw refusal(response, body?.error);
  return body;
}

function asForm(files) {
  const form = new FormData();
  for (const file of files) form.append("images", file, file.name);
  return { body: form };
}

async function asJson(question, file) {
  const body = JSON.stringify({ ...members(question), image: await base64(file) });
  return { body, headers: { "Content-Type": "application/json" } };
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result.slice(reader.result.indexOf(",") + 1)));
    reader.addEventListener("error", () => reject(unreadable()));
    reader.readAsDataURL(file);
  });
}

async function reach(url, options, signal, patience = PATIENCE_MS) {
  const limit = AbortSignal.timeout(patience);
  const either = signal ? AbortSignal.any([signal, limit]) : limit;
  const sent = credentials();
  let answer;
  try {
    const response = await fetch(url, { ...options, headers: { ...options.headers, ...sent }, signal: either });
    answer = { response, body: parsed(await response.text()) };
  } catch (error) {
    if (signal?.aborted) throw error; // cancelled on the page: not a problem to show
    throw unreachable(limit.aborted);
  }
  const refused = KEY_PROBLEMS.includes(answer.body?.error?.code);
  if (refused && (await renewed(sent, options.method === "POST"))) return reach(url, options, signal, patience);
  return answer;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // not from the service: a proxy's error page, or empty
  }
}

function unreadable() {
  return new ServiceError("The file could not be read. Was it moved or changed?", { code: "unreadable_file" });
}

function unreachable(late) {
  return late
    ? new ServiceError("The service did not answer in time.", { code: "no_answer" })
    : new ServiceError("The service could not be reached. Is it running, and is the network up?", {
        code: "network",
      });
}

function refusal(response, problem) {
  const fallback = `The service gave an answer that cannot be used (status ${response.status}).`;
  return new ServiceError(problem?.message || fallback, {
    code: problem?.code || `http_${response.status}`,
    status: response.status,
    retryAfter: seconds(response.headers.get("Retry-After")),
  });
}

/** Retry-After comes as seconds or, from some proxies, as a date. */
function seconds(header) {
  if (!header) return null;
  const wait = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 1), LONGEST_PAUSE_SECONDS) : null;
}
