"""The BLIP runner."""

from __future__ import annotations

import bentoml

from departure import unless_gone
from runners.base import SERVICE, Replied, Reported, Runner
from vision.tasks import Call


@bentoml.service(name="Blip", **SERVICE)
class Blip:
    """Captions pictures with BLIP."""

    def __init__(self) -> None:
        self.runner = Runner("blip")

    @bentoml.api
    async def infer(self, call: Call, ctx: bentoml.Context) -> Replied:
        return Replied(reply=await unless_gone(ctx.request.receive, self.runner.infer(call)))

    @bentoml.api
    async def status(self) -> Reported:
        return Reported(status=await self.runner.status())

    @bentoml.on_shutdown
    async def close(self) -> None:
        await self.runner.close()
