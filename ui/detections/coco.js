/** Boxes as COCO writes them: https://cocodataset.org/#format-data */

import { extent } from "./places.js";

/** The answered jobs of `jobs`, which are all about boxes, as one COCO document. */
export function coco(jobs) {
  const answered = jobs.filter((job) => job.answer);
  const labels = [...new Set(answered.flatMap(({ answer }) => answer.things.map((thing) => thing.label)))];
  const annotations = answered.flatMap(({ answer }, place) =>
    answer.things.map((thing) => annotation(thing, answer.size, place + 1, labels.indexOf(thing.label) + 1)),
  );
  return {
    images: answered.map(({ names, answer: { size } }, place) => ({
      id: place + 1,
      file_name: names[0],
      width: size.width,
      height: size.height,
    })),
    annotations: annotations.map((one, place) => ({ id: place + 1, ...one })),
    categories: labels.map((name, place) => ({ id: place + 1, name })),
  };
}

function annotation(thing, size, image, category) {
  const { left, top, right, bottom } = extent(thing, size);
  const bbox = [left, top, right - left, bottom - top];
  return {
    image_id: image,
    category_id: category,
    bbox: bbox.map(hundredths),
    area: hundredths(bbox[2] * bbox[3]),
    iscrowd: 0,
    ...(thing.confidence === undefined ? {} : { score: thing.confidence }), // as COCO's results have it
  };
}

function hundredths(pixels) {
  return Math.round(pixels * 100) / 100;
}
