// program: Vercel AI SDK, structured
// asks: generateText with an object as its output
// packages: ai@7.0.173 @ai-sdk/openai-compatible@3.0.92 zod@4.6.7
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output } from "ai";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { QUESTION, SCENES, tell, URL_OF_SERVICE } from "./compat_scenes.mjs";

const options = { name: "looksee", baseURL: `${URL_OF_SERVICE}/v1`, supportsStructuredOutputs: true };
const model = createOpenAICompatible(options)("gemma");
const output = Output.object({ schema: z.object({ count: z.number().int() }) });

for (const scene of SCENES) {
  const picture = { type: "file", mediaType: "image/png", data: readFileSync(scene.picture) };
  const messages = [{ role: "user", content: [{ type: "text", text: QUESTION }, picture] }];
  const asked = async () => (await generateText({ model, output, messages, maxRetries: 0 })).output.count;
  await tell("object", asked, scene.number);
}
