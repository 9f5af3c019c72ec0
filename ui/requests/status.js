/** The state of a job in words: what it waits for. */

export function status({ state, problem, question: { model } }, models) {
  if (state === "waiting") return "Waiting";
  if (state === "pausing") return `Trying again in ${Math.ceil(problem.retryAfter)} s`;
  if (state !== "working") return "";
  if (models.state(model) === "waiting") return `${models.title(model)} waits for its place in memory…`;
  return models.isAway(model) ? `Loading ${models.title(model)}…` : "Looking…";
}
