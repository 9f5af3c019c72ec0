/** Copies text, also where the page came over plain HTTP and the browser has no clipboard API. */

/**
 * Whether `text` was copied. `room`: the element that gets a temporary field; while a modal dialog is open, only a
 * field inside it can be selected.
 */
export async function copy(text, room = document.body) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text, room);
  }
}

function copyBySelection(text, room) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.readOnly = true;
  field.className = "visually-hidden";
  room.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return copied;
}
