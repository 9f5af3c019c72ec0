/** A picture on the page, with what was asked about it: its caption, and a thread of questions. */

export class Picture {
  caption = null; // the Asking for its caption, the newest one
  thread = []; // Askings, the oldest first

  constructor(file) {
    this.file = file;
  }

  get name() {
    return this.file.name;
  }

  /** Its Askings of a kind. */
  askings(kind) {
    if (kind === "ask") return this.thread;
    return kind === "caption" && this.caption ? [this.caption] : [];
  }
}
