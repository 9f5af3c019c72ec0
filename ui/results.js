/** The results as files to keep: JSON with everything, CSV for spreadsheets. */

const OUTCOME = ["cache", "seconds", "model", "revision", "weights", "error_code", "error_message"];
const CAPTION = ["tags", "caption_prompt", "flag_caption_prompt", "flagged", "flag_evaluated"];
const COLUMNS = {
  caption: ["filename", "caption", ...CAPTION, ...OUTCOME],
  all: ["filenames", "collective_caption", "count", ...CAPTION, ...OUTCOME],
  ask: ["filename", "question", "answer", ...OUTCOME],
};
const NAMES = { caption: "looksee-captions", all: "looksee-one-caption", ask: "looksee-answers" };
const RELEASE_MS = 10_000; // by then every browser has begun to save

/** Save what became of `askings`, all of one kind. */
export function saveJson(askings, kind) {
  save(`${NAMES[kind]}.json`, "application/json", `${JSON.stringify(records(askings), null, 2)}\n`);
}

export function saveCsv(askings, kind) {
  const columns = COLUMNS[kind];
  const rows = records(askings).map((record) => columns.map((column) => cell(flat(record)[column])));
  // The mark in front tells spreadsheets that this is UTF-8.
  save(`${NAMES[kind]}.csv`, "text/csv", `\ufeff${[columns, ...rows].map((row) => row.join(",")).join("\r\n")}\r\n`);
}

function records(askings) {
  return askings
    .filter((asking) => asking.settled)
    .map(({ names, question, answer, problem, seconds }) => ({
      ...asked(question, names),
      ...(answer ? { ...outcome(answer, question), seconds: Number(seconds.toFixed(3)) } : { model: question.model }),
      ...(problem ? { error: { code: problem.code, message: problem.message } } : {}),
    }));
}

function asked({ kind, prompt, flag, words }, names) {
  if (kind === "ask") return { filename: names[0], question: words };
  const files = kind === "all" ? { filenames: names } : { filename: names[0] };
  return { ...files, caption_prompt: prompt, flag_caption_prompt: flag };
}

/** The answer under the names that the service's own API gives its parts. */
function outcome({ cache, model, revision, weights, ...answer }, { kind }) {
  const { tags, flagged, flag_evaluated, count } = answer;
  const rest = { cache, model, revision, weights };
  if (kind === "ask") return { answer: answer.text, ...rest };
  const caption = kind === "all" ? { collective_caption: answer.text, count } : { caption: answer.text };
  return { ...caption, tags, flagged, flag_evaluated, ...rest };
}

function flat(record) {
  const { tags, filenames, error, ...rest } = record;
  const lists = { tags: tags?.join(" "), filenames: filenames?.join("; ") };
  return { ...rest, ...lists, error_code: error?.code, error_message: error?.message };
}

function cell(value) {
  const text = String(value ?? "");
  // Spreadsheets run what begins like a formula, and a file may be named like one.
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), RELEASE_MS);
}
