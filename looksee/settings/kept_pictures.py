"""Settings of pictures that are sent once and named afterwards."""

from __future__ import annotations

from pydantic import BaseModel, Field, NonNegativeInt, PositiveInt


class KeptPictureSettings(BaseModel):
    """How many pictures are kept, and how long: in Redis where there is one, else in the gateway's process."""

    max_kept_pictures: NonNegativeInt = Field(
        4096, description="pictures kept by `PUT /v1/pictures` at a time, the oldest give way; 0: none are kept"
    )
    max_kept_bytes: PositiveInt = Field(256 * 2**20, description="their bytes together; the oldest give way")
    kept_picture_seconds: PositiveInt = Field(
        3600, description="seconds that a picture is kept after it was last sent to `PUT /v1/pictures`"
    )
