/** Where the page is one column, what was added would come in below the window's edge. */
export function reveal(element) {
  const { top } = element.getBoundingClientRect();
  if (top > innerHeight * 0.6) element.scrollIntoView({ block: "start" });
}
