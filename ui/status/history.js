/** What was shown in the last two hours: for each series its numbers, with one row of times for all. */

const LONGEST_MS = 7_200_000;

export class History {
  #times = [];
  #series = new Map(); // key to numbers, null where there was none

  /** `figures`: key to number or null, of all series. */
  add(time, figures) {
    for (const [key, value] of Object.entries(figures)) {
      const numbers = this.#series.get(key) ?? this.#times.map(() => null);
      numbers.push(value ?? null);
      this.#series.set(key, numbers);
    }
    this.#times.push(time);
    for (const numbers of this.#series.values()) if (numbers.length < this.#times.length) numbers.push(null);
    const old = this.#times.findIndex((one) => one >= time - LONGEST_MS);
    if (old <= 0) return;
    this.#times.splice(0, old);
    for (const numbers of this.#series.values()) numbers.splice(0, old);
  }

  /** The last `seconds` of a series: `[milliseconds before the last one, number]`, without gaps. */
  last(key, seconds) {
    const end = this.#times.at(-1);
    const numbers = this.#series.get(key) ?? [];
    const first = this.#times.findIndex((time) => time >= end - seconds * 1000);
    return this.#times
      .slice(first)
      .map((time, index) => [end - time, numbers[first + index]])
      .filter(([, value]) => value !== null && value !== undefined);
  }
}
