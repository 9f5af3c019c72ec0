/** A picture on the page, with what was asked about it: the newest of each kind, and a thread of questions. */

export class Picture {
  newest = {}; // kind -> Asking
  thread = []; // Askings, the oldest first

  constructor(file) {
    this.file = file;
  }

  get name() {
    return this.file.name;
  }

  /** All that was asked about it alone. */
  get asked() {
    return [...Object.values(this.newest), ...this.thread];
  }

  /** Its Askings of a kind. */
  askings(kind) {
    if (kind === "ask") return this.thread;
    return this.newest[kind] ? [this.newest[kind]] : [];
  }
}
