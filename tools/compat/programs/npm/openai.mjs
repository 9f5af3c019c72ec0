// program: openai (JavaScript)
// asks: chat, stream, models
// packages: openai@7.59.0
import OpenAI from "openai";
import { QUESTION, SCENES, tell, URL_OF_SERVICE } from "./compat_scenes.mjs";

const client = new OpenAI({ baseURL: `${URL_OF_SERVICE}/v1`, apiKey: "none" });

function request(model, scene) {
  const content = [
    { type: "text", text: QUESTION },
    { type: "image_url", image_url: { url: scene.uri } },
  ];
  return { model, messages: [{ role: "user", content }] };
}

async function streamed(scene) {
  let text = "";
  for await (const chunk of await client.chat.completions.create({ ...request("intern_vlm", scene), stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  return text;
}

for (const scene of SCENES) {
  const asked = async () => (await client.chat.completions.create(request("gemma", scene))).choices[0].message.content;
  await tell("chat", asked, scene.count);
  await tell("stream", () => streamed(scene), scene.count);
}
await tell("models", async () => (await client.models.retrieve("gemma")).id, "gemma");
