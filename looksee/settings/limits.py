"""Settings of limits: sizes, counts, and times of requests and answers."""

from __future__ import annotations

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, field_validator

from looksee.core.image_formats import FORMATS


class LimitSettings(BaseModel):
    """How much a request may bring and ask for, and how long it may take."""

    flag_prompt: str = Field("", description="question whose yes sets `flagged` where a request brings none")
    request_timeout_seconds: PositiveFloat = Field(
        100,
        le=110,
        description="seconds until a request is answered 504, beside what its model takes to load; at most 110",
    )
    heartbeat_seconds: PositiveFloat = Field(
        10,
        description="seconds without data after which a stream gets a comment and a batch a space, so that proxies "
        "keep the connection",
    )
    batch_timeout_seconds: PositiveFloat = Field(
        3600, description="seconds until what is left of a batch is answered 504, each item by itself"
    )
    max_queue: PositiveInt = Field(
        256, description="jobs that wait for a model at most, beside those of a full batch; then 429"
    )
    max_file_bytes: PositiveInt = Field(
        10 * 2**20, validation_alias="MAX_CONTENT_LENGTH", description="bytes of one picture file"
    )
    max_request_bytes: PositiveInt = Field(64 * 2**20, description="bytes of one request")
    max_upload_bytes: PositiveInt = Field(
        2**30,
        description="bytes of the requests under way together, from their first byte to their answer; then 429; at "
        "least those of one request",
    )
    max_files: PositiveInt = Field(32, description="pictures in one request")
    max_batch_items: PositiveInt = Field(4096, description="items of one batch")
    image_formats: str = Field(", ".join(FORMATS), description="formats of pictures that are accepted, comma separated")
    max_pixels: PositiveInt = Field(64_000_000, description="pixels of one picture")
    min_side: PositiveInt = Field(3, description="pixels of a picture's smallest side")
    max_prompt_chars: PositiveInt = Field(4000, description="characters of a prompt")
    max_chat_chars: PositiveInt = Field(
        200_000, description="characters of a chat, all turns together; the model's context bounds it in tokens"
    )
    max_new_tokens: PositiveInt = Field(1024, description="new tokens of one answer")

    @field_validator("image_formats")
    @classmethod
    def _known(cls, names: str) -> str:
        if unknown := set(_split(names)) - FORMATS.keys():
            raise ValueError(f"{', '.join(sorted(unknown))}: no such format; there are {', '.join(FORMATS)}")
        if not _split(names):
            raise ValueError("at least one format must be accepted")
        return names

    def image_format_names(self) -> tuple[str, ...]:
        """The names of the accepted formats."""
        return tuple(_split(self.image_formats))


def _split(names: str) -> list[str]:
    return [name.strip().lower() for name in names.split(",") if name.strip()]
