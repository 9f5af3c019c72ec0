/** What is shown, computed from samples: gauges as they are, counters as rates over the last seconds. */

const WINDOW_MS = 10_000;

/** The difference of two sums, where both are there; a process that was replaced may let a counter fall. */
function gained(now, before) {
  return now === null ? null : Math.max(0, now - (before ?? 0));
}

function ratio(part, whole) {
  return part === null || !whole ? null : part / whole;
}

/** Of the whole service: by key, a number or null. `moments`: `{time, samples}`, the newest last. */
export function ofService(moments) {
  const [before, now, seconds] = compared(moments);
  const rate = (name, labels) => ratio(gained(now.sum(name, labels), before.sum(name, labels)), seconds);
  const hits = rate("looksee_cache_requests_total", { result: "hit" });
  const lookups = ["hit", "miss", "coalesced"].map((result) => rate("looksee_cache_requests_total", { result }) ?? 0);
  const failed = (samples) => samples.sumWhere("looksee_http_requests_total", "status", (status) => status.startsWith("5"));
  const all = (samples) => samples.sum("looksee_http_requests_total");
  return {
    running: now.sum("looksee_rows_running") ?? 0, // before anything ran there is no sample
    waiting: now.sum("looksee_rows_waiting") ?? 0,
    answers: ratio(gained(all(now), all(before)), seconds),
    tokens: rate("looksee_new_tokens_total"),
    ...means(before, now, {}),
    hits: ratio(hits ?? 0, lookups.reduce((one, other) => one + other, 0)),
    errors: ratio(gained(failed(now), failed(before)), seconds),
  };
}

/** The same of one model. */
export function ofModel(moments, model) {
  const [before, now, seconds] = compared(moments);
  const labels = { model };
  const tokens = gained(now.sum("looksee_new_tokens_total", labels), before.sum("looksee_new_tokens_total", labels));
  return {
    running: now.sum("looksee_rows_running", labels) ?? 0,
    waiting: now.sum("looksee_rows_waiting", labels) ?? 0,
    tokens: ratio(tokens, seconds),
    ...means(before, now, labels),
  };
}

/** The oldest moment of the window, the newest one, and the seconds between them. */
function compared(moments) {
  const { time, samples: now } = moments.at(-1);
  const first = moments.find((moment) => moment.time >= time - WINDOW_MS);
  return [first.samples, now, (time - first.time) / 1000];
}

function means(before, now, labels) {
  const mean = (name) => {
    const gain = (part) => gained(now.sum(`${name}_${part}`, labels), before.sum(`${name}_${part}`, labels));
    return ratio(gain("sum"), gain("count"));
  };
  return { rows: mean("looksee_batch_rows"), first: mean("looksee_time_to_first_token_seconds") };
}
