/** Downloads of files that the page itself makes. */

const RELEASE_MS = 10_000; // by then every browser has begun to save

/** `content`: a text or a Blob. */
export function save(name, type, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), RELEASE_MS);
}
