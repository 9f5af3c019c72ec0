/** Prometheus' text format, read into samples. */

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Samples of one moment. */
export class Samples {
  #byName = new Map(); // name to [labels, value]

  constructor(text) {
    for (const line of text.split("\n")) {
      if (line.startsWith("#")) continue;
      const [, name, labels, value] = LINE.exec(line) ?? [];
      if (!name) continue;
      const found = this.#byName.get(name) ?? [];
      found.push([read(labels ?? ""), Number(value)]);
      this.#byName.set(name, found);
    }
  }

  /** The sum of the samples of a metric that carry all these labels; null without any. */
  sum(name, labels = {}) {
    const wanted = Object.entries(labels);
    const found = (this.#byName.get(name) ?? []).filter(([own]) => wanted.every(([key, value]) => own[key] === value));
    return found.length ? found.reduce((total, [, value]) => total + value, 0) : null;
  }

  /** The sum of the samples of a metric whose label `key` passes `test`; null where there is no such metric. */
  sumWhere(name, key, test) {
    const all = this.#byName.get(name);
    return all ? all.reduce((total, [own, value]) => total + (test(own[key] ?? "") ? value : 0), 0) : null;
  }
}

function read(labels) {
  const found = {};
  for (const [, key, value] of labels.matchAll(LABEL)) found[key] = value.replace(/\\(.)/g, (_, one) => (one === "n" ? "\n" : one));
  return found;
}
