/** Copying text, also where the page came over plain HTTP and browsers withhold their clipboard API. */

/** Whether `text` was copied. `room`: where a field may be put for it; beside an open dialog none can be selected. */
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
