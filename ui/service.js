/** The service's HTTP contract, as far as this page needs it: a caption for one file, and the service's health. */

// The service gives up on its own well before this; only a connection that died silently takes so long.
const PATIENCE_MS = 150_000;
const HEALTH_PATIENCE_MS = 8_000;
const LONGEST_PAUSE_SECONDS = 60;

/** Anything that kept an answer away. `message` is a sentence for people, `code` a word for machines. */
export class ServiceError extends Error {
  constructor(message, { code, status = 0, retryAfter = null }) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter; // seconds, or null when the service named none
  }
}

/** The service's result for `file`: `{caption, tags, cache, model, revision, weights, ...}`. Throws ServiceError. */
export async function caption(file, { model, prompt }, signal) {
  const query = new URLSearchParams();
  if (model) query.set("model", model);
  if (prompt) query.set("caption_prompt", prompt);
  const form = new FormData();
  form.append("images", file, file.name);
  const { response, body } = await reach(`/api/caption-images?${query}`, { method: "POST", body: form }, signal);
  const result = body?.results?.[0];
  const problem = result?.error ?? body?.error;
  if (!response.ok || problem || typeof result?.caption !== "string") throw refusal(response, problem);
  return result;
}

/** `{models, redis, version, environment, ...}`. Throws ServiceError. */
export async function health() {
  const { response, body } = await reach("/health", { cache: "no-store" }, null, HEALTH_PATIENCE_MS);
  if (!response.ok || typeof body?.models !== "object") throw refusal(response, body?.error);
  return body;
}

async function reach(url, options, signal, patience = PATIENCE_MS) {
  const limit = AbortSignal.timeout(patience);
  const either = signal ? AbortSignal.any([signal, limit]) : limit;
  try {
    const response = await fetch(url, { ...options, signal: either });
    return { response, body: parsed(await response.text()) };
  } catch (error) {
    if (signal?.aborted) throw error; // the person's own doing: no problem to tell
    throw unreachable(limit.aborted);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // not the service's own words: a proxy's error page, or nothing
  }
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
