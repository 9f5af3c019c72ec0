# program: ollama (Python), structured
# asks: chat with a schema as its format
# packages: ollama==0.6.3

import json

import ollama
from compat_scenes import QUESTION, SCENES, URL, tell

client = ollama.Client(URL)
schema = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}


def asked(scene):
    message = {"role": "user", "content": QUESTION, "images": [scene["picture"]]}
    return json.loads(client.chat("gemma3", [message], format=schema).message.content)


for scene in SCENES:
    tell("format", lambda: asked(scene)["count"], scene["number"])
