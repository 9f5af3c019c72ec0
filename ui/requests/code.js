/** The request of a question as a program sends it: as a shell command and as Python. */

import { members, params, route, target } from "./request.js";

const PATIENCE_SECONDS = 150; // the first answer may wait until the model is loaded

/** `names`: the files' names, taken to lie in the current directory. */
export function curl(question, names, origin) {
  const url = shell(origin + target(question));
  if (!route(question).form) return curlJson(question, names, url);
  const files = names.map((name) => `  -F ${shell(`images=@${formFile(name)}`)} \\\n`);
  return `curl \\\n${files.join("")}  ${url}`;
}

export function python(question, names, origin) {
  const { path, form } = route(question);
  const url = JSON.stringify(origin + path);
  return form ? pythonForm(question, names, url) : pythonJson(question, names, url);
}

function curlJson(question, names, url) {
  const start = `${JSON.stringify(members(question)).slice(0, -1)},"image":"`;
  const send = (file, indent) =>
    [
      `{ printf %s ${shell(start)}`,
      `  base64 < ${file} | tr -d '\\n'; printf '"}'; } |`,
      `  curl -H 'Content-Type: application/json' --data-binary @- ${url}`,
    ]
      .map((line) => indent + line)
      .join("\n");
  if (names.length === 1) return send(shell(names[0]), "");
  return `for file in ${names.map(shell).join(" ")}; do\n${send('"$file"', "  ")}; echo\ndone`;
}

function pythonForm(question, names, url) {
  const print =
    question.kind === "all"
      ? 'print(answer.json()["collective_caption"])'
      : 'for result in answer.json()["results"]:\n    print(result["filename"], result.get("caption") or result["error"])';
  return `import httpx

names = ${literal(names)}
answer = httpx.post(
    ${url},
    params=${literal(params(question))},
    files=[("images", (name, open(name, "rb"))) for name in names],
    timeout=${PATIENCE_SECONDS},
)
answer.raise_for_status()
${print}`;
}

function pythonJson(question, names, url) {
  const said = `["${route(question).said}"]${question.kind === "point" ? '["points"]' : ""}`;
  return `import base64
from pathlib import Path

import httpx

for name in ${literal(names)}:
    image = base64.b64encode(Path(name).read_bytes()).decode()
    answer = httpx.post(
        ${url},
        json={
            ${pairs(members(question)).join(",\n            ")},
            "image": image,
        },
        timeout=${PATIENCE_SECONDS},
    )
    answer.raise_for_status()
    print(name, answer.json()${said})`;
}

/** JSON of texts alone reads as Python too; only the spacing is Python's. */
function literal(value) {
  if (Array.isArray(value)) return `[${value.map((item) => JSON.stringify(item)).join(", ")}]`;
  return `{${pairs(value).join(", ")}}`;
}

function pairs(members) {
  return Object.entries(members).map(([name, text]) => `${JSON.stringify(name)}: ${JSON.stringify(text)}`);
}

function shell(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** curl splits a form's file name at some marks unless it stands in quotes of its own. */
function formFile(name) {
  return /^[\w@%+=:./ -]+$/.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`;
}
