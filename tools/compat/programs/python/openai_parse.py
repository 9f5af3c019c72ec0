# program: openai (Python), structured
# asks: chat.completions.parse
# packages: openai==3.57.0

import openai
from compat_scenes import QUESTION, SCENES, URL, tell
from pydantic import BaseModel

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none")


class HowMany(BaseModel):
    count: int


def parsed(scene):
    parts = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": scene["uri"]}}]
    said = [{"role": "user", "content": parts}]
    return (
        client.chat.completions.parse(model="gemma", messages=said, response_format=HowMany).choices[0].message.parsed
    )


for scene in SCENES:
    tell("parse", lambda: parsed(scene).count, scene["number"])
