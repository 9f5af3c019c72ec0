# program: bentoml
# asks: caption, query, async
# packages: bentoml==1.4.40

import asyncio

import bentoml
from compat_scenes import QUESTION, SCENES, URL, tell


async def at_once(scene):
    async with bentoml.AsyncHTTPClient(URL) as other:
        return (await other.query(image=scene["uri"], question=QUESTION, model="gemma"))["answer"]


with bentoml.SyncHTTPClient(URL) as client:
    for scene in SCENES:
        tell("caption", lambda: client.caption(image=scene["uri"], model="moondream")["caption"], scene["caption"])
        tell("query", lambda: client.query(image=scene["uri"], question=QUESTION)["answer"], scene["count"])
        tell("async", lambda: asyncio.run(at_once(scene)), scene["count"])
