/** Boxes and points in a picture, normalised: 0 to 1 of its width and height, from its top left as a person sees it. */

const ROWS = ["top", "", "bottom"];
const COLUMNS = ["left", "", "right"];

/** `{things, size}` of the service's answer about `object`; null when there is none in it that can be drawn. */
export function placed(found, object) {
  const size = found?.image;
  const things = found?.detections ?? found?.coordinates?.points?.map((point) => ({ label: object, ...point }));
  if (!Array.isArray(things) || !(size?.width > 0 && size?.height > 0)) return null;
  return things.every((thing) => Object.values(extent(thing, size)).every(Number.isFinite)) ? { things, size } : null;
}

/** What a thing covers of a picture of `width` x `height`, in its units. A point covers nothing but has a place. */
export function extent({ x, y, x_min = x, y_min = y, x_max = x, y_max = y }, { width, height }) {
  return { left: x_min * width, top: y_min * height, right: x_max * width, bottom: y_max * height };
}

/** "top left": where in the picture a thing has its centre. */
export function whereabouts(thing) {
  const { left, top, right, bottom } = extent(thing, { width: 1, height: 1 });
  const third = (from, to) => Math.min(2, Math.floor((from + to) * 1.5));
  const words = [ROWS[third(top, bottom)], COLUMNS[third(left, right)]].filter(Boolean).join(" ");
  return words || "middle";
}

/** A thing's pixels in words, of a picture of `size`. */
export function pixels(thing, size) {
  const { left, top, right, bottom } = extent(thing, size);
  const at = `${Math.round(left)}, ${Math.round(top)}`;
  if (isPoint(thing)) return `at ${at} px`;
  return `${Math.round(right - left)} × ${Math.round(bottom - top)} px at ${at}`;
}

export function isPoint(thing) {
  return "x" in thing;
}
