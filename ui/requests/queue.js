/** A first-in first-out queue that works on a few jobs at a time. */

export class Queue {
  #waiting = [];
  #running = new Map(); // job -> its AbortController
  #limit;
  #work;

  /** `work(job, signal)` is async and never rejects; it ends soon after `signal` fires. */
  constructor(limit, work) {
    this.#limit = limit;
    this.#work = work;
  }

  get busy() {
    return this.#running.size > 0;
  }

  add(jobs) {
    this.#waiting.push(...jobs);
    this.#advance();
  }

  /** Forget `jobs`, whether they wait, run or are none of this queue's. */
  drop(jobs) {
    const gone = new Set(jobs);
    this.#waiting = this.#waiting.filter((job) => !gone.has(job));
    for (const job of gone) {
      this.#running.get(job)?.abort();
      this.#running.delete(job);
    }
    this.#advance();
  }

  #advance() {
    while (this.#running.size < this.#limit && this.#waiting.length > 0) this.#run(this.#waiting.shift());
  }

  async #run(job) {
    const controller = new AbortController();
    this.#running.set(job, controller);
    await this.#work(job, controller.signal);
    // The same job may have been dropped and added anew meanwhile: then the place is another run's.
    if (this.#running.get(job) === controller) this.#running.delete(job);
    this.#advance();
  }
}
