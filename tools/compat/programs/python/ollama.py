# program: ollama (Python)
# asks: generate, chat, stream, async, list
# packages: ollama==0.6.3

import asyncio

import ollama
from compat_scenes import QUESTION, SCENES, URL, tell

client = ollama.Client(URL)


def message(scene):
    return {"role": "user", "content": QUESTION, "images": [scene["picture"]]}


def streamed(scene):
    parts = client.chat("gemma3:4b", [message(scene)], stream=True)
    return "".join(part.message.content or "" for part in parts)


async def at_once(scene):
    return (await ollama.AsyncClient(URL).generate("intern_vlm", QUESTION, images=[scene["picture"]])).response


for scene in SCENES:
    picture = scene["picture"]
    tell("generate", lambda: client.generate("moondream", QUESTION, images=[picture]).response, scene["count"])
    tell("caption", lambda: client.generate("blip", images=[picture]).response, scene["caption"])
    tell("chat", lambda: client.chat("gemma", [message(scene)]).message.content, scene["count"])
    tell("stream", lambda: streamed(scene), scene["count"])
    tell("async", lambda: asyncio.run(at_once(scene)), scene["count"])
tell("list", lambda: client.list().models[0].model, "blip:latest")
