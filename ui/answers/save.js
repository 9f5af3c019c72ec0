/** Files that the page makes itself, for a person to keep. */

const RELEASE_MS = 10_000; // by then every browser has begun to save

/** `content`: a text or a Blob. */
export function save(name, type, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), RELEASE_MS);
}
