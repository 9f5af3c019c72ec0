/** A picture with what was found drawn into it, as a file. */

import { annotation } from "./annotation.js";

const SHORT_SIDE = 480; // pixels that a small picture is enlarged to, so that labels leave something of it
const PAGE_SIDE = 400; // about what a picture's short side has on the page, where lines and words have scale 1

/** `file` with `things` as a PNG, in its own pixels or, of a small one, a multiple. Throws when it cannot be drawn. */
export async function drawn(file, { things }) {
  const picture = await createImageBitmap(file);
  const times = Math.ceil(SHORT_SIDE / Math.min(picture.width, picture.height, SHORT_SIDE));
  const canvas = document.createElement("canvas");
  canvas.width = picture.width * times;
  canvas.height = picture.height * times;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white"; // what is transparent is white to the models
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const scale = Math.min(canvas.width, canvas.height) / PAGE_SIDE;
  pen.drawImage(await rendered(annotation(things, canvas, scale)), 0, 0);
  const png = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!png) throw new Error("no canvas of that size"); // each browser has a limit of its own
  return png;
}

async function rendered(svg) {
  const text = new XMLSerializer().serializeToString(svg);
  const url = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    return image;
  } finally {
    URL.revokeObjectURL(url);
  }
}
