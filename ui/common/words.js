/** Numbers in words for display. */

export function duration(seconds) {
  return seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : `${seconds.toFixed(1)} s`;
}

/** "3 pictures" */
export function counted(count, noun) {
  const ending = noun.endsWith("x") ? "es" : "s";
  return `${count} ${noun}${count === 1 ? "" : ending}`;
}

/** "224 M" or "3.74 B", for counts of parameters. */
export function large(count) {
  return count >= 1e9 ? `${(count / 1e9).toFixed(2)} B` : `${Math.round(count / 1e6)} M`;
}
