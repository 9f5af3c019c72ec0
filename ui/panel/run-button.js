/** The button that starts the jobs: its label, and whether it is highlighted because something has no answer yet. */

/** `number` of pictures; `fresh`: none has been asked about; `written`: the collective caption is there. */
export function showRun(button, { kind, number, fresh, written, due }) {
  const many = number > 1 ? `all ${number}` : "";
  const texts = {
    caption: fresh ? `Caption ${many}` : "Caption again",
    all: written ? "Write again" : "Write caption",
    ask: many ? `Ask about ${many}` : "Ask",
    detect: many ? `Find in ${many}` : "Find",
    point: many ? `Point in ${many}` : "Point",
  };
  button.textContent = texts[kind];
  button.classList.toggle("due", due);
}

/** Whether `question` has no answer yet about some of `pictures`; a question in words can always be asked again. */
export function hasDue(question, pictures, collectiveJob) {
  if (question.kind === "ask") return true;
  if (question.kind === "all") return !collectiveJob?.is(question, pictures);
  return pictures.some((picture) => isDue(picture, question));
}

/** Whether a picture lacks an answer of the question's kind, or has one to another question. */
export function isDue(picture, question) {
  const job = picture.newest[question.kind];
  if (!job) return true;
  // A job that began before the catalogue was known names no model: it had the default, the first of the catalogue.
  const model = job.question.model && question.model;
  return !job.is({ ...question, model }, [picture]);
}
