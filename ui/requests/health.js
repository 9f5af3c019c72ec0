/** Polls the service's health while the page is visible. */

import { health } from "./service.js";

const EVERY_MS = 4000;
const SOON_MS = 1000;

/**
 * Call `tell(health)` every few seconds, with null when there is no answer; more often while `isUrgent()`.
 * Returns a function that looks at once.
 */
export function watch(tell, isUrgent) {
  let timer = null;
  let asking = false;

  async function look() {
    clearTimeout(timer);
    if (asking) return;
    asking = true;
    tell(await health().catch(() => null));
    asking = false;
    if (!document.hidden) timer = setTimeout(look, isUrgent() ? SOON_MS : EVERY_MS);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
  look();
  return look;
}
