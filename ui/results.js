/** The results as files to keep: JSON with everything, CSV for spreadsheets. */

const COLUMNS = [
  "filename",
  "caption",
  "tags",
  "cache",
  "seconds",
  "model",
  "revision",
  "weights",
  "caption_prompt",
  "error_code",
  "error_message",
];
const RELEASE_MS = 10_000; // by then every browser has begun to save

export function saveJson(pictures) {
  save("looksee.json", "application/json", `${JSON.stringify(records(pictures), null, 2)}\n`);
}

export function saveCsv(pictures) {
  const rows = records(pictures).map((record) => COLUMNS.map((column) => cell(flat(record)[column])));
  // The mark in front tells spreadsheets that this is UTF-8.
  save("looksee.csv", "text/csv", `\ufeff${[COLUMNS, ...rows].map((row) => row.join(",")).join("\r\n")}\r\n`);
}

function records(pictures) {
  return pictures
    .filter((picture) => picture.settled)
    .map(({ name, question, answer, problem, seconds }) => ({
      filename: name,
      caption_prompt: question.prompt,
      ...(answer ? { ...outcome(answer), seconds: Number(seconds.toFixed(3)) } : { model: question.model }),
      ...(problem ? { error: { code: problem.code, message: problem.message } } : {}),
    }));
}

function outcome({ caption, tags, cache, model, revision, weights }) {
  return { caption, tags, cache, model, revision, weights };
}

function flat(record) {
  const { tags, error, ...rest } = record;
  return { ...rest, tags: tags?.join(" "), error_code: error?.code, error_message: error?.message };
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
