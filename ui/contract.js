/** How a question becomes a request. What the page sends and the code that it shows for it are both made from this. */

/** What can be asked: which task it needs, where it goes, and which member of the answer has the words. */
export const KINDS = {
  caption: { task: "caption", path: "/api/caption-images", said: "caption" },
  all: { task: "collective", path: "/api/caption-collective-images", said: "collective_caption" },
  ask: { task: "query", path: "/query", said: "answer" },
};

/** The query parameters of a question about files in a form; what is empty is left to the service. */
export function params({ model, prompt, flag }) {
  const given = { model, caption_prompt: prompt, flag_caption_prompt: flag };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value));
}

/** The members beside the picture of a question that travels as JSON. */
export function members({ model, words }) {
  return model ? { model, question: words } : { question: words };
}

/** Path and query of a question's request. */
export function target(question) {
  const { path } = KINDS[question.kind];
  const query = question.kind === "ask" ? "" : new URLSearchParams(params(question)).toString();
  return query ? `${path}?${query}` : path;
}

/** Whether a model's prompt is the beginning of its caption; others are told what to do. */
export function continues(model) {
  return model === "blip" || model === "blip2";
}
