/** The request of a question: the page sends it, and the code that it shows is made from it too. */

/** The kinds of questions: the model's task, the route, and the member of the answer with the result. */
export const KINDS = {
  caption: { task: "caption", path: "/api/caption-images", form: true, said: "caption" },
  all: { task: "collective", path: "/api/caption-collective-images", form: true, said: "collective_caption" },
  ask: { task: "query", path: "/query", form: false, said: "answer" },
  detect: { task: "detect", path: "/detect", form: false, said: "detections" },
  point: { task: "point", path: "/point", form: false, said: "coordinates" },
};

/** The kinds that are asked about each picture alone, and whose newest answer replaces the last one. */
export const EACH = ["caption", "detect", "point"];
export const FINDS = ["detect", "point"];
/** The kinds that need words: a question, or what to find. */
export const WORDED = ["ask", ...FINDS];

// The route for forms takes no length.
const SIZED = { path: "/caption", form: false, said: "caption" };

/** `{path, form, said}` of a question: whether its files go in a form, or one of them as JSON. */
export function route(question) {
  return question.length ? SIZED : KINDS[question.kind];
}

/** The query parameters of a question about files in a form; what is empty is left to the service. */
export function params({ model, prompt, flag }) {
  const given = { model, caption_prompt: prompt, flag_caption_prompt: flag };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value));
}

/** The members beside the picture of a question that travels as JSON. */
export function members({ kind, model, words, length }) {
  const asked = kind === "ask" ? { question: words } : kind === "caption" ? { length } : { object: words };
  return model ? { model, ...asked } : asked;
}

/** Path and query of a question's request. */
export function target(question) {
  const { path, form } = route(question);
  const query = form ? new URLSearchParams(params(question)).toString() : "";
  return query ? `${path}?${query}` : path;
}
