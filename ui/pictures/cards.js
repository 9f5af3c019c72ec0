/** The grid: the pictures in their order, each with its card. */

import { Card } from "./card.js";

export class Cards {
  #list;
  #templates;
  #acts;
  #cards = new Map(); // picture -> its card, in the order of the page

  constructor(list, templates, acts) {
    this.#list = list;
    this.#templates = templates;
    this.#acts = acts;
  }

  get pictures() {
    return [...this.#cards.keys()];
  }

  has(picture) {
    return this.#cards.has(picture);
  }

  add(picture) {
    const card = new Card(this.#templates, picture, this.#acts);
    this.#cards.set(picture, card);
    this.#list.append(card.element);
  }

  update(kind) {
    const { size } = this.#cards;
    [...this.#cards.values()].forEach((card, place) => {
      card.update(kind);
      card.place(place, size);
    });
  }

  /** Update the card of one picture. */
  renew(picture, kind) {
    this.#cards.get(picture)?.update(kind);
  }

  tick() {
    for (const card of this.#cards.values()) card.tick();
  }

  /** Remove a picture. Returns whether there is another one, whose card then has the focus. */
  remove(picture) {
    const order = this.pictures;
    const place = order.indexOf(picture);
    this.#cards.get(picture).close();
    this.#cards.delete(picture);
    const neighbour = this.#cards.get(order[place + 1] ?? order[place - 1]);
    neighbour?.focus();
    return Boolean(neighbour);
  }

  clear() {
    for (const card of this.#cards.values()) card.close();
    this.#cards.clear();
  }

  /** Move a picture by some places. Returns its new place, from 0. */
  move(picture, by) {
    const order = this.pictures;
    const place = order.indexOf(picture) + by;
    if (place < 0 || place >= order.length) return place - by;
    const { element } = this.#cards.get(picture);
    const other = this.#cards.get(order[place]).element;
    if (by < 0) other.before(element);
    else other.after(element);
    this.reorder();
    this.#cards.get(picture).focus(by < 0 ? ".earlier" : ".later");
    return place;
  }

  /** Adopt the order of the elements on the page. */
  reorder() {
    const places = [...this.#list.children];
    const sorted = [...this.#cards].sort(([, one], [, other]) => places.indexOf(one.element) - places.indexOf(other.element));
    this.#cards = new Map(sorted);
    sorted.forEach(([, card], place) => card.place(place, sorted.length));
  }
}
