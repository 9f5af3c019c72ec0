/** Numbers as they are shown. */

const NONE = "–";

export function plain(value) {
  if (value === null || value === undefined) return NONE;
  return value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString("en") : value.toFixed(value < 1 ? 2 : 1);
}

export function time(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}

export function percent(share) {
  return share === null || share === undefined ? NONE : `${Math.round(share * 100)} %`;
}

export function bytes(count) {
  if (count === null || count === undefined) return NONE;
  return count >= 2 ** 30 ? `${(count / 2 ** 30).toFixed(1)} GiB` : `${Math.round(count / 2 ** 20)} MiB`;
}

/** "12 s ago", from a date as the service writes it. */
export function ago(date) {
  if (!date) return "not yet";
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(date)) / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}
