# program: litellm
# asks: openai/ and ollama_chat/, stream
# packages: litellm==1.110.2

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it fetches prices from the internet

import litellm
from compat_scenes import QUESTION, SCENES, URL, tell


def messages(scene):
    parts = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": scene["uri"]}}]
    return [{"role": "user", "content": parts}]


def asked(model, base, scene):
    found = litellm.completion(model=model, api_base=base, api_key="none", messages=messages(scene))
    return found.choices[0].message.content


def streamed(scene):
    how = {"model": "openai/intern_vlm", "api_base": f"{URL}/v1", "api_key": "none", "stream": True}
    return "".join(
        chunk.choices[0].delta.content or "" for chunk in litellm.completion(messages=messages(scene), **how)
    )


for scene in SCENES:
    tell("openai/", lambda: asked("openai/gemma", f"{URL}/v1", scene), scene["count"])
    tell("ollama_chat/", lambda: asked("ollama_chat/gemma", URL, scene), scene["count"])
    tell("stream", lambda: streamed(scene), scene["count"])
