/** A line of numbers over time, as SVG. */

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = 2; // so that the line's upper half is not cut off
const MOST_POINTS = 240; // more than an eye tells apart; each stands for the largest of its time

/** Draw `points` (`[milliseconds before now, number]`) of the last `seconds` into the element; 0 is at the bottom. */
export function draw(svg, points, seconds, most) {
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const top = most || 1;
  const places = thinned(points, seconds).map(([ago, value]) => [
    width * (1 - ago / (seconds * 1000)),
    height - MARGIN - (height - 2 * MARGIN) * (value / top),
  ]);
  const line = places.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  const [[left] = [0]] = places;
  const [right] = places.at(-1) ?? [0];
  const area = places.length ? `${left.toFixed(1)},${height} ${line} ${right.toFixed(1)},${height}` : "";
  svg.replaceChildren(shape("polygon", area), shape("polyline", line));
}

function thinned(points, seconds) {
  const each = (seconds * 1000) / MOST_POINTS;
  const found = new Map();
  for (const point of points) {
    const slot = Math.floor(point[0] / each);
    const known = found.get(slot);
    if (!known || point[1] > known[1]) found.set(slot, point);
  }
  return [...found.values()];
}

function shape(kind, points) {
  const element = document.createElementNS(SVG, kind);
  element.setAttribute("points", points);
  return element;
}
