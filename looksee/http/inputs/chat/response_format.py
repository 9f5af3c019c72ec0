"""`response_format` of a chat, in all the ways that clients write it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from looksee.core import errors
from looksee.http.inputs.structured_output import JsonSchema, ResponseFormat


class ChatResponseFormat(ResponseFormat):
    """With the schema beside json_object, as llama.cpp and Together have it."""

    beside: dict[str, Any] | None = Field(
        None, alias="schema", description="json_object: the JSON Schema that the object follows"
    )

    def plain(self) -> ResponseFormat:
        """The same in the one form. Raises UnsupportedParameter for a schema beside another type."""
        if self.beside and self.type != "json_object":
            raise errors.UnsupportedParameter(
                "'response_format.schema' goes with the type json_object; of json_schema it is "
                "'response_format.json_schema.schema'.",
                param="response_format.schema",
            )
        if self.beside:
            wanted = JsonSchema.model_validate({"name": "response", "schema": self.beside})
            return ResponseFormat(type="json_schema", json_schema=wanted)
        return ResponseFormat.model_construct(**{name: getattr(self, name) for name in ResponseFormat.model_fields})
