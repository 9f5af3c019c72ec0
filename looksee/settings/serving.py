"""Settings of the served process: its name, its port, its log."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt


class ServingSettings(BaseModel):
    """How the service runs and what it calls itself."""

    env: str = Field("production", validation_alias="ENV", description="a name for this deployment, shown by /health")
    debug: bool = Field(False, validation_alias="DEBUG", description="admin routes ask for no key")
    port: PositiveInt = Field(3000, le=65535, validation_alias="PORT", description="port to serve on")
    drain_seconds: PositiveFloat = Field(
        110, le=86400, description="seconds that accepted requests have after SIGTERM; what is left then gets 503"
    )
    log_format: Literal["text", "json"] = Field("text", description="text for people, json: one object a line")
