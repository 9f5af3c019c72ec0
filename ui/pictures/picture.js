/** A picture on the page with its jobs: the newest of each kind, and the thread of questions. */

export class Picture {
  newest = {}; // kind -> Job
  thread = []; // Jobs, the oldest first

  constructor(file) {
    this.file = file;
  }

  get name() {
    return this.file.name;
  }

  /** All jobs about this picture alone. */
  get asked() {
    return [...Object.values(this.newest), ...this.thread];
  }

  /** The jobs of a kind about this picture alone. */
  jobs(kind) {
    if (kind === "ask") return this.thread;
    return this.newest[kind] ? [this.newest[kind]] : [];
  }
}
