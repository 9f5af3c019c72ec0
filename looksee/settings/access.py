"""Settings of access: keys, and requests a minute."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, NonNegativeInt

HeaderText = Annotated[str, Field(pattern=r"^[ -~]*$")]  # characters that any client can send in a header


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
    metrics_key: HeaderText = Field("", description="key that /metrics asks for; empty: open")
    requests_per_minute: NonNegativeInt = Field(
        0, description="requests to models a minute of each client key, or address without keys; 0: no limit"
    )

    def client_key_list(self) -> list[str]:
        """The keys of clients; none: the service is open."""
        return [key for key in (*map(str.strip, self.client_keys.split(",")), self.moondream_api_key) if key]
