// program: Vercel AI SDK
// asks: generateText, streamText
// packages: ai@7.0.173 @ai-sdk/openai-compatible@3.0.92
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import { readFileSync } from "node:fs";
import { QUESTION, SCENES, tell, URL_OF_SERVICE } from "./compat_scenes.mjs";

const looksee = createOpenAICompatible({ name: "looksee", baseURL: `${URL_OF_SERVICE}/v1` });

function request(model, scene) {
  const picture = { type: "file", mediaType: "image/png", data: readFileSync(scene.picture) };
  const content = [{ type: "text", text: QUESTION }, picture];
  return { model: looksee(model), messages: [{ role: "user", content }] };
}

for (const scene of SCENES) {
  await tell("generateText", async () => (await generateText(request("gemma", scene))).text, scene.count);
  await tell("streamText", async () => await streamText(request("moondream", scene)).text, scene.count);
}
