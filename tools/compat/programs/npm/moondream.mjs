// program: moondream (JavaScript)
// asks: caption, query
// packages: moondream@0.2.0
// in place: sharp@0.34.5
import { readFileSync } from "node:fs";
import { vl } from "moondream";
import { QUESTION, SCENES, tell, URL_OF_SERVICE } from "./compat_scenes.mjs";

const model = new vl({ endpoint: `${URL_OF_SERVICE}/v1` });

for (const scene of SCENES) {
  const image = readFileSync(scene.picture);
  await tell("caption", async () => (await model.caption({ image, stream: false })).caption, scene.caption);
  await tell("query", async () => (await model.query({ image, question: QUESTION, stream: false })).answer, scene.count);
}
