/** Dragging cards to another place. Keyboards have the cards' buttons for it. */

/** `moved` is called when a card was let go in another place; only elements that are `draggable` can be dragged. */
export function onReorder(list, moved) {
  let held = null;
  let before = [];
  list.addEventListener("dragstart", (event) => {
    held = event.target.closest?.("[draggable=true]") ?? null;
    if (!held) return;
    before = [...list.children];
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", ""); // some browsers drag nothing that carries nothing
    held.classList.add("held");
  });
  list.addEventListener("dragover", (event) => {
    const over = event.target.closest?.("[draggable=true]");
    if (!held || !over) return;
    event.preventDefault();
    if (over === held) return;
    const places = [...list.children];
    if (places.indexOf(over) < places.indexOf(held)) over.before(held);
    else over.after(held);
  });
  list.addEventListener("drop", (event) => {
    if (held) event.preventDefault();
  });
  list.addEventListener("dragend", () => {
    if (!held) return;
    held.classList.remove("held");
    held = null;
    if (before.some((element, place) => element !== list.children[place])) moved();
  });
}
