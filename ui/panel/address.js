/** The chosen model and mode in the page's address, `#model/mode`: they survive a reload and can be shared. */

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
    return ""; // a percent sign without two digits
  }
}
