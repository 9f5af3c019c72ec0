# program: langchain-openai
# asks: invoke, stream, batch
# packages: langchain-openai==1.7.4

from compat_scenes import QUESTION, SCENES, URL, tell
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

gemma, moondream = (ChatOpenAI(model=name, base_url=f"{URL}/v1", api_key="none") for name in ("gemma", "moondream"))


def message(scene):
    picture = {"type": "image", "base64": scene["base64"], "mime_type": "image/png"}
    return HumanMessage(content=[{"type": "text", "text": QUESTION}, picture])


for scene in SCENES:
    tell("invoke", lambda: gemma.invoke([message(scene)]).text, scene["count"])
    tell("stream", lambda: "".join(part.text for part in gemma.stream([message(scene)])), scene["count"])
    tell("batch", lambda: moondream.batch([[message(scene)]])[0].text, scene["count"])
