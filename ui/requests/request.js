/** How a question becomes a request. What the page sends and the code that it shows for it are both made from this. */

/** What can be asked: which task it needs, where it goes, and which member of the answer has what was asked for. */
export const KINDS = {
  caption: { task: "caption", path: "/api/caption-images", form: true, said: "caption" },
  all: { task: "collective", path: "/api/caption-collective-images", form: true, said: "collective_caption" },
  ask: { task: "query", path: "/query", form: false, said: "answer" },
  detect: { task: "detect", path: "/detect", form: false, said: "detections" },
  point: { task: "point", path: "/point", form: false, said: "coordinates" },
};

/** The kinds that are asked of each picture alone, where the newest answer takes the place of the last one. */
export const EACH = ["caption", "detect", "point"];
export const FINDS = ["detect", "point"];
/** The kinds that are nothing without words of a person. */
export const WORDED = ["ask", ...FINDS];

// The route for forms knows one length of caption.
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
