/** The results as files to keep: JSON with everything, CSV for spreadsheets, boxes also as COCO. */

import { coco } from "../detections/coco.js";
import { FINDS } from "../requests/request.js";
import { save } from "./save.js";

const OUTCOME = ["finish_reason", "cache", "seconds", "model", "revision", "weights", "error_code", "error_message"];
const CAPTION = ["tags", "caption_prompt", "flag_caption_prompt", "flagged", "flag_evaluated", "flag_confidence"];
const PLACE = ["image_width", "image_height", "count", "number"];
const COLUMNS = {
  caption: ["filename", "caption", "length", ...CAPTION, ...OUTCOME],
  all: ["filenames", "collective_caption", "count", ...CAPTION, ...OUTCOME],
  ask: ["filename", "question", "answer", ...OUTCOME],
  detect: ["filename", "object", ...PLACE, "label", "x_min", "y_min", "x_max", "y_max", "confidence", ...OUTCOME],
  point: ["filename", "object", ...PLACE, "x", "y", "confidence", ...OUTCOME],
};
const NAMES = {
  caption: "looksee-captions",
  all: "looksee-one-caption",
  ask: "looksee-answers",
  detect: "looksee-boxes",
  point: "looksee-points",
};

/** Save the answers and problems of `jobs`, which are all of one kind. */
export function saveJson(jobs, kind) {
  save(`${NAMES[kind]}.json`, "application/json", `${JSON.stringify(records(jobs), null, 2)}\n`);
}

export function saveCoco(jobs) {
  save(`${NAMES.detect}-coco.json`, "application/json", `${JSON.stringify(coco(jobs), null, 2)}\n`);
}

export function saveCsv(jobs, kind) {
  const columns = COLUMNS[kind];
  const lines = records(jobs).flatMap((record) => (FINDS.includes(kind) ? spread(record) : [flat(record)]));
  const rows = lines.map((line) => columns.map((column) => cell(line[column])));
  // The mark in front tells spreadsheets that this is UTF-8.
  save(`${NAMES[kind]}.csv`, "text/csv", `\ufeff${[columns, ...rows].map((row) => row.join(",")).join("\r\n")}\r\n`);
}

/** The answers and problems of `jobs` as JSON objects. */
export function records(jobs) {
  return jobs
    .filter((job) => job.settled)
    .map(({ names, question, answer, problem, seconds }) => ({
      ...asked(question, names),
      ...(answer ? { ...outcome(answer, question), seconds: Number(seconds.toFixed(3)) } : { model: question.model }),
      ...(problem ? { error: { code: problem.code, message: problem.message } } : {}),
    }));
}

function asked({ kind, prompt, flag, length, words }, names) {
  if (kind === "ask") return { filename: names[0], question: words };
  if (FINDS.includes(kind)) return { filename: names[0], object: words };
  const prompts = { caption_prompt: prompt, flag_caption_prompt: flag };
  return kind === "all" ? { filenames: names, ...prompts } : { filename: names[0], length: length || "normal", ...prompts };
}

/** The answer under the names that the service's own API gives its parts. */
function outcome({ finish_reason, cache, model, revision, weights, ...answer }, { kind }) {
  const { tags, flagged, flag_evaluated, flag_confidence, count } = answer;
  const rest = { finish_reason, cache, model, revision, weights };
  if (kind === "ask") return { answer: answer.text, ...rest };
  if (kind === "detect") return { detections: answer.detections, count, image: answer.image, ...rest };
  if (kind === "point") return { coordinates: answer.coordinates, image: answer.image, ...rest };
  const caption = kind === "all" ? { collective_caption: answer.text, count } : { caption: answer.text };
  return { ...caption, tags, flagged, flag_evaluated, flag_confidence, ...rest };
}

function flat(record) {
  const { tags, filenames, error, ...rest } = record;
  const lists = { tags: tags?.join(" "), filenames: filenames?.join("; ") };
  return { ...rest, ...lists, error_code: error?.code, error_message: error?.message };
}

/** A line for each thing that was found, and one for a picture without any. */
function spread({ detections, coordinates, image, ...record }) {
  const things = detections ?? coordinates?.points ?? [];
  const line = { image_width: image?.width, image_height: image?.height, ...flat(record) };
  if (image) line.count = things.length;
  return things.length > 0 ? things.map((thing, place) => ({ ...line, number: place + 1, ...thing })) : [line];
}

function cell(value) {
  const text = String(value ?? "");
  // A spreadsheet would run a text that begins like a formula, such as a file's name.
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
