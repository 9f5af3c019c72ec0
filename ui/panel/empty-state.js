/** What the page shows while it has no pictures, for each mode. */

const TEXTS = {
  caption: {
    title: "What is in your pictures?",
    text: "Drop them here, paste one, or choose as many as you like. Each gets a caption and tags.",
    sample: "Try a sample picture",
  },
  all: {
    title: "What do your pictures show together?",
    text: "Drop them here, paste one, or choose several. Put them in order, and they get one caption.",
    sample: "Try two sample pictures",
  },
  ask: {
    title: "What would you like to know?",
    text: "Drop pictures here, paste one, or choose as many as you like. Then ask about one of them or about each.",
    sample: "Try a sample picture",
  },
  detect: {
    title: "Where is it in your pictures?",
    text: "Say what to find, then drop pictures here, paste one, or choose as many as you like. Each thing gets a box.",
    sample: "Try two sample pictures",
  },
  point: {
    title: "Where is it in your pictures?",
    text: "Say what to find, then drop pictures here, paste one, or choose as many as you like. Each thing gets a point.",
    sample: "Try two sample pictures",
  },
};
const ONE = ["sample.png"];
const TWO = ["sample.png", "sample-2.png"];
const FILES = { caption: ONE, all: TWO, ask: ONE, detect: TWO, point: TWO };

export function showEmptyState({ title, text, sample }, kind) {
  title.textContent = TEXTS[kind].title;
  text.textContent = TEXTS[kind].text;
  sample.textContent = TEXTS[kind].sample;
}

/** The service's own pictures that suit `kind`, as files. Throws when they cannot be fetched. */
export function samples(kind) {
  return Promise.all(FILES[kind].map(fetched));
}

async function fetched(name) {
  const response = await fetch(`/ui/${name}`);
  if (!response.ok) throw new Error(`status ${response.status}`);
  return new File([await response.blob()], name, { type: "image/png" });
}
