// program: ollama (JavaScript)
// asks: generate, chat, stream, list, error
// packages: ollama@0.6.4
import { Ollama } from "ollama";
import { QUESTION, SCENES, tell, URL_OF_SERVICE } from "./compat_scenes.mjs";

const client = new Ollama({ host: URL_OF_SERVICE });
const message = (scene) => ({ role: "user", content: QUESTION, images: [scene.picture] });

async function streamed(scene) {
  let text = "";
  for await (const part of await client.chat({ model: "gemma3", messages: [message(scene)], stream: true })) {
    text += part.message.content;
  }
  return text;
}

for (const scene of SCENES) {
  const asked = { model: "moondream", prompt: QUESTION, images: [scene.base64] };
  await tell("generate", async () => (await client.generate(asked)).response, scene.count);
  const chat = { model: "gemma", messages: [message(scene)] };
  await tell("chat", async () => (await client.chat(chat)).message.content, scene.count);
  await tell("stream", () => streamed(scene), scene.count);
}
await tell("list", async () => (await client.list()).models[0].name, "blip:latest");
const unknown = () => client.generate({ model: "llava", prompt: QUESTION }).catch((error) => error.message.slice(0, 23));
await tell("error", unknown, "model 'llava' not found");
