# program: openai (Python)
# asks: chat, stream, async, models
# packages: openai==3.57.0

import asyncio

import openai
from compat_scenes import QUESTION, SCENES, URL, tell

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none")


def messages(scene):
    parts = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": scene["uri"]}}]
    return [{"role": "user", "content": parts}]


def streamed(scene):
    chunks = client.chat.completions.create(model="intern_vlm", messages=messages(scene), stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


async def at_once(scene):
    async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="none") as other:
        found = await other.chat.completions.create(model="moondream", messages=messages(scene))
        return found.choices[0].message.content


def asked(scene):
    return client.chat.completions.create(model="gemma", messages=messages(scene)).choices[0].message.content


for scene in SCENES:
    tell("chat", lambda: asked(scene), scene["count"])
    tell("stream", lambda: streamed(scene), scene["count"])
    tell("async", lambda: asyncio.run(at_once(scene)), scene["count"])
tell("models", lambda: client.models.retrieve("gemma").id, "gemma")
