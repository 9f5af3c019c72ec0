/** Scroll to `element` if it begins in the lower part of the window, as it does where the page has one column. */
export function reveal(element) {
  const { top } = element.getBoundingClientRect();
  if (top > innerHeight * 0.6) element.scrollIntoView({ block: "start" });
}
