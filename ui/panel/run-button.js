/** The button that asks: what pressing it does, and whether there is anything to ask. */

/** `number` of pictures; `fresh`: none has been asked about; `written`: the caption of all together is there. */
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

/** Whether a picture lacks an answer of the question's kind, or has one to another question. */
export function isDue(picture, question) {
  const asking = picture.newest[question.kind];
  if (!asking) return true;
  // Asked before the models were known, it went to the service's own choice, which is the page's first.
  const model = asking.question.model && question.model;
  return !asking.is({ ...question, model }, [picture]);
}
