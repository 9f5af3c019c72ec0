"""Settings of access: keys, and requests a minute."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, NonNegativeInt

HeaderText = Annotated[str, Field(pattern=r"^[ -~]*$")]  # characters that any client can send in a header

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?|\*|null")
_USUAL_PORTS = {"http": ":80", "https": ":443"}


def _origins(text: str) -> str:
    found = []
    for entry in filter(None, map(str.strip, text.split(","))):
        origin = entry.lower().removesuffix("/")  # browsers send it without a slash, in small letters
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"'{entry}' is no origin: write one as a browser sends it, https://app.example.org or "
                "http://localhost:5173, with no path; or * for any"
            )
        found.append(origin.removesuffix(_USUAL_PORTS.get(origin.partition(":")[0], "/")))
    return ",".join(found)


class AccessSettings(BaseModel):
    """Who may ask, and how often."""

    api_key: str = Field("", validation_alias="API_KEY", description="key of the admin routes (X-API-Key)")
    client_keys: HeaderText = Field(
        "", description="keys of clients, comma separated; empty: whoever reaches it may use it"
    )
    moondream_api_key: HeaderText = Field(
        "", validation_alias="MOONDREAM_API_KEY", description="one more client key, as X-Moondream-Auth"
    )
    moondream_cloud_api_key: str = Field(
        "",
        validation_alias="MOONDREAM_CLOUD_API_KEY",
        description="your key of Moondream's cloud: requests that name the model `moondream-cloud` are sent there; "
        "empty: nothing is",
    )
    runner_key: HeaderText = Field(
        "",
        description="key between gateways and runners that are served alone, the same for both; empty: such a runner "
        "answers whoever reaches it",
    )
    metrics_key: HeaderText = Field("", description="key that /metrics asks for; empty: open")
    requests_per_minute: NonNegativeInt = Field(
        0, description="requests to models a minute of each client key, or address without keys; 0: no limit"
    )
    allowed_origins: Annotated[str, AfterValidator(_origins)] = Field(
        "",
        description="origins of web pages that may call the service from a browser (CORS), comma separated: "
        "`https://app.example.org`, `http://localhost:5173`, `*` (any); empty: none",
    )

    def client_key_list(self) -> list[str]:
        """The keys of clients; none: the service is open."""
        return [key for key in (*map(str.strip, self.client_keys.split(",")), self.moondream_api_key) if key]

    def allowed_origin_list(self) -> list[str]:
        """The origins of pages that may call the service."""
        return [origin for origin in self.allowed_origins.split(",") if origin]
