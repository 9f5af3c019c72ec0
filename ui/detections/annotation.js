/**
 * Boxes and points drawn as SVG for a picture of a given size, each with a number and, while they are few, its label.
 *
 * A white edge around a dark colour is seen on any ground. All is said in attributes, so that the drawing looks the
 * same on the page and in a file.
 */

import { extent, isPoint } from "./places.js";

/** One for each number, in turn; white text on any of them has a contrast of 5 to 1 and more. */
export const COLOURS = ["#1d4ed8", "#be185d", "#157347", "#b23c06", "#6d28d9", "#0f6b75", "#b91c1c", "#334155"];

const SVG = "http://www.w3.org/2000/svg";
const FEW = 6; // things, up to which labels leave room for the picture
const LONG = 22; // characters of a label
const MUCH = 0.6; // of a picture's width
const LINE = 2.5; // all lengths in pixels of the page
const EDGE = 1.5;
const RING = 8;
const FONT = 12;
const CHIP_HEIGHT = 18;
const CHIP_PADDING = 6;
const measuring = document.createElement("canvas").getContext("2d");

/** `things` as an SVG element of `width` x `height`; `scale`: how much larger than on the page its lines and words are. */
export function annotation(things, { width, height }, scale = 1) {
  const svg = element("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  const marks = things.map((thing, place) => ({ thing, number: place + 1, at: reach(thing, { width, height }, scale) }));
  // Large ones first: what lies within another one stays in reach of the pointer.
  for (const mark of marks.toSorted((one, other) => area(other.at) - area(one.at))) svg.append(shape(mark, scale));
  const rings = marks.filter(({ thing }) => isPoint(thing)).map(({ at }) => at);
  const taken = [];
  for (const mark of marks) {
    const text = chipText(mark, things.length, width / scale);
    const size = { width: chipWidth(text) * scale, height: CHIP_HEIGHT * scale };
    const others = [...taken, ...rings.filter((ring) => ring !== mark.at)];
    const spot = room(places(mark, size, scale), size, others, { width, height });
    taken.push(spot);
    svg.append(chip(mark, text, spot, scale));
  }
  return svg;
}

/** What a mark covers: the ring around its point, or its box, so far inside that its line is not cut off. */
function reach(thing, size, scale) {
  const { left, top, right, bottom } = extent(thing, size);
  if (isPoint(thing)) {
    const ring = RING * scale;
    return { left: left - ring, top: top - ring, right: right + ring, bottom: bottom + ring };
  }
  const margin = (LINE / 2 + EDGE) * scale;
  const across = (x) => Math.max(margin, Math.min(x, size.width - margin));
  const down = (y) => Math.max(margin, Math.min(y, size.height - margin));
  return { left: across(left), top: down(top), right: across(right), bottom: down(bottom) };
}

function shape({ thing, number, at }, scale) {
  const group = element("g", { class: "mark", "data-number": number, fill: "none" });
  const lines = isPoint(thing) ? ring(at) : frame(at, scale);
  const edge = element(lines.name, { ...lines.attributes, stroke: "#fff", "stroke-width": (LINE + 2 * EDGE) * scale });
  const line = element(lines.name, { ...lines.attributes, stroke: colour(number), "stroke-width": LINE * scale });
  // Nothing is seen of this fill until the mark is pointed out, but the pointer feels it.
  line.setAttribute("fill", colour(number));
  line.setAttribute("fill-opacity", 0);
  group.append(edge, line);
  if (isPoint(thing)) group.append(dot(at, number, scale));
  return group;
}

function frame({ left, top, right, bottom }, scale) {
  const attributes = { x: left, y: top, width: right - left, height: bottom - top, rx: 2 * scale };
  return { name: "rect", attributes };
}

function ring({ left, top, right, bottom }) {
  const attributes = { cx: (left + right) / 2, cy: (top + bottom) / 2, r: (right - left) / 2 };
  return { name: "circle", attributes };
}

function dot({ left, top, right, bottom }, number, scale) {
  return element("circle", {
    cx: (left + right) / 2,
    cy: (top + bottom) / 2,
    r: 2.75 * scale,
    fill: colour(number),
    stroke: "#fff",
    "stroke-width": EDGE * scale,
  });
}

function chip({ number }, text, { left, top, right, bottom }, scale) {
  const group = element("g", { class: "chip", "data-number": number });
  const sheet = element("rect", {
    x: left,
    y: top,
    width: right - left,
    height: bottom - top,
    rx: 4 * scale,
    fill: colour(number),
    stroke: "#fff",
    "stroke-width": EDGE * scale,
  });
  const words = element("text", {
    x: left + CHIP_PADDING * scale,
    y: (top + bottom) / 2,
    dy: "0.36em",
    fill: "#fff",
    "font-family": "system-ui, sans-serif",
    "font-size": FONT * scale,
    "font-weight": 600,
  });
  words.textContent = text;
  group.append(sheet, words);
  return group;
}

/** A number, with its label where that leaves room for the rest of a picture of `width`. */
function chipText({ thing, number }, count, width) {
  const label = [...thing.label];
  const text = `${number} ${label.length > LONG ? `${label.slice(0, LONG - 1).join("")}…` : thing.label}`;
  return count <= FEW && chipWidth(text) < width * MUCH ? text : String(number);
}

/** Where a chip of `size` may lie beside its mark, the best place first, as `[left, top]`. */
function places({ thing, at }, size, scale) {
  if (isPoint(thing)) {
    const gap = 3 * scale;
    const middle = (at.top + at.bottom - size.height) / 2;
    const centred = (at.left + at.right - size.width) / 2;
    return [
      [at.right + gap, middle],
      [at.left - gap - size.width, middle],
      [centred, at.top - gap - size.height],
      [centred, at.bottom + gap],
    ];
  }
  const out = (LINE / 2) * scale; // flush with the outer edge of the line
  const lefts = [at.left - out, at.right + out - size.width];
  const tops = [at.top - size.height, at.top - out, at.bottom, at.bottom + out - size.height];
  return tops.flatMap((top) => lefts.map((left) => [left, top]));
}

/** The first of `spots` that lies in the picture and on none of `others`; if there is none, the first, moved inside. */
function room(spots, size, others, picture) {
  const rectangles = spots.map(([left, top]) => ({ left, top, right: left + size.width, bottom: top + size.height }));
  const inside = ({ left, top, right, bottom }) =>
    left >= 0 && top >= 0 && right <= picture.width && bottom <= picture.height;
  const free = rectangles.find((one) => inside(one) && !others.some((other) => overlap(one, other)));
  if (free) return free;
  const left = Math.max(0, Math.min(spots[0][0], picture.width - size.width));
  const top = Math.max(0, Math.min(spots[0][1], picture.height - size.height));
  return { left, top, right: left + size.width, bottom: top + size.height };
}

function overlap(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}

function area({ left, top, right, bottom }) {
  return (right - left) * (bottom - top);
}

function chipWidth(text) {
  measuring.font = `600 ${FONT}px system-ui, sans-serif`;
  return measuring.measureText(text).width + 2 * CHIP_PADDING;
}

function colour(number) {
  return COLOURS[(number - 1) % COLOURS.length];
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}
