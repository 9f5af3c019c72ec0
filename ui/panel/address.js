/** The choice in the page's address, as `#model/mode`: it outlives a reload and can be sent to others. */

/** `{model, kind}`, as far as the address names them. */
export function chosen() {
  const [model = "", kind = ""] = location.hash.slice(1).split("/").map(decoded);
  return { model, kind };
}

export function choose(model, kind) {
  if (model) history.replaceState(null, "", `#${encodeURIComponent(model)}/${kind}`);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return ""; // somebody typed a stray percent sign
  }
}
