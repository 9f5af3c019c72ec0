"""The gallery's page around the pictures."""

from __future__ import annotations

HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { max-width: 1400px; margin: 0 auto; padding: 1rem; background: Canvas; color: CanvasText; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: baseline; }
h1 { font-size: 1.2rem; margin: 0; overflow-wrap: anywhere; }
input { flex: 1 1 16rem; max-width: 32rem; font: inherit; padding: .45rem .7rem;
  border: 1px solid GrayText; border-radius: .4rem; }
.count { color: GrayText; margin: .4rem 0 .8rem; }
main { display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(240px, 100%), 1fr)); }
figure { margin: 0; border: 1px solid color-mix(in srgb, CanvasText 18%, transparent);
  border-radius: .5rem; overflow: hidden;
  content-visibility: auto; contain-intrinsic-size: auto 320px; }
.picture { position: relative; background: color-mix(in srgb, CanvasText 6%, transparent); }
.picture img { display: block; width: 100%; height: auto; }
.picture svg { position: absolute; inset: 0; width: 100%; height: 100%; fill: none; }
rect, .point { stroke-width: 2.5; vector-effect: non-scaling-stroke; filter: drop-shadow(0 0 1px #000);
  pointer-events: all; }
.point { stroke-width: 11; stroke-linecap: round; }
.gone { padding: 2rem 1rem; margin: 0; text-align: center; color: GrayText; }
figcaption { padding: .5rem .75rem .65rem; overflow-wrap: anywhere; }
figcaption p { margin: 0 0 .25rem; }
small { color: GrayText; }
details { margin: 0 0 1rem; padding: .5rem .75rem; border: 1px solid #d55e00;
  border-radius: .5rem; overflow-wrap: anywhere; }
summary { cursor: pointer; font-weight: 600; }
[hidden] { display: none; }
</style></head>
<body><header><h1>{title}</h1>
<input type="search" id="search" placeholder="Search captions and names" aria-label="Search captions and names"
 autocomplete="off">
</header>
"""

FOOT = """
<script>
const figures = [...document.querySelectorAll("figure")].map(own => [own, own.textContent.toLowerCase()]);
const search = document.getElementById("search");
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  for (const [figure, text] of figures) {
    figure.hidden = !words.every(word => text.includes(word));
    count += !figure.hidden;
  }
  document.getElementById("shown").textContent = count;
});
</script></body></html>
"""
