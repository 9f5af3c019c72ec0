"""The body of a message's request. What is not heeded is named in `docs/anthropic.md`, or refused."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, FailFast, Field

from looksee.core import errors
from looksee.core.tasks import Sampling
from looksee.http.apis.chat import ChatOptions
from looksee.http.dialects.anthropic.turns import System, TurnMessages
from looksee.http.inputs import neutral_values
from looksee.http.inputs.bodies import Integer
from looksee.http.inputs.chat.forced_call import arguments_format
from looksee.http.inputs.sampling_fields import Temperature
from looksee.http.inputs.structured_output import JsonSchema, ResponseFormat
from looksee.models.registry import ALIASES, REGISTRY

_MOST_STOPS, _LONGEST_STOP = 4, 256  # characters
_MOST_TOP_K = 1000
_THINKING: list[Any] = ["disabled", "enabled", "adaptive"]
# Beside those of all chats: where, how fast and for whom it is done, and what only says how something refused is done.
_WITHOUT_EFFECT = frozenset(
    {"cache_control", "diagnostics", "inference_geo", "speed", "user_profile_id", "workspace_id"}
)
_NEUTRAL: dict[str, Any] = {"mcp_servers": []}
_FORCED = '{"type": "tool", "name": "..."}'


class OutputFormat(BaseModel):
    type: str = Field(description="json_schema", json_schema_extra={"enum": ["json_schema"]})
    wanted: dict[str, Any] | None = Field(None, alias="schema", description="JSON Schema of the draft 2020-12")


class OutputConfig(BaseModel):
    effort: str | None = Field(None, description="without effect")
    format: OutputFormat | None = None


class ThinkingConfig(BaseModel):
    type: str = Field(description="but disabled: Moondream2 thinks first", json_schema_extra={"enum": _THINKING})
    budget_tokens: Integer | None = Field(None, description="without effect")
    display: str | None = Field(None, description="without effect: thoughts are told whole")


class MessagesBody(BaseModel):
    """A request. Parameters of the API that are not here are taken as long as they ask for nothing special."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(description=f"one of: {', '.join(REGISTRY)}", json_schema_extra={"enum": [*REGISTRY, *ALIASES]})
    messages: TurnMessages = Field(description="the last one is the user's")
    max_tokens: Integer = Field(
        ge=1,
        description="new tokens at most; cut, stop_reason is max_tokens",
        json_schema_extra={"minimum": 1, "examples": [200]},
    )
    system: System = Field([], description="instructions")
    temperature: Temperature = None
    top_p: float | None = Field(None, ge=0, le=1, description="with a temperature")
    top_k: Integer | None = Field(
        None,
        ge=-1,
        le=_MOST_TOP_K,
        description="with a temperature; 0 or -1: all",
        json_schema_extra={"minimum": -1, "maximum": _MOST_TOP_K},
    )
    stop_sequences: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=_LONGEST_STOP)]] | None,
        FailFast(),
        Field(max_length=_MOST_STOPS),
    ] = None
    stream: bool | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = Field(None, description="the older name of output_config.format")
    thinking: ThinkingConfig | None = None
    metadata: dict[str, Any] | None = Field(None, description="without effect")
    tools: list[dict[str, Any]] | None = Field(None, description="where tool_choice says what to do with them")
    tool_choice: dict[str, Any] | None = Field(None, description="none, or the tool that has to be used")

    def check(self) -> None:
        """Raises UnsupportedParameter for what would change the answer and is not here."""
        more = {
            name: value
            for name, value in (self.model_extra or {}).items()
            if name not in _WITHOUT_EFFECT and value != _NEUTRAL.get(name, ...)
        }
        neutral_values.check(more, MessagesBody.model_fields)
        if self.thinking is not None and self.thinking.type not in _THINKING:
            raise errors.UnsupportedParameter(
                f"'thinking.type' must be one of: {', '.join(_THINKING)}.", param="thinking.type"
            )

    def tool(self) -> int | None:
        """Which of the tools has to be used. Raises UnsupportedParameter where the choice is the model's."""
        tools, choice = self.tools or [], self.tool_choice or {"type": "auto"}
        if choice.get("type") == "none" or (not tools and choice.get("type") == "auto"):
            return None
        names = [tool.get("name") if tool.get("type") in (None, "custom") else None for tool in tools]
        match choice:
            case {"type": "tool", "name": str(name)} if name in names:
                return names.index(name)
            case {"type": "any"} if len(names) == 1 and isinstance(names[0], str):
                return 0
        param = "tools" if tools and choice.get("type") == "auto" else "tool_choice"
        raise errors.UnsupportedParameter(
            "The models here do not choose tools themselves. Send no tools, or 'tool_choice' of the type none, or one "
            f"tool that has to be used: {_FORCED}.",
            param=param,
        )

    def sampling(self) -> Sampling:
        """How the answer is drawn; without a temperature it is greedy, so that it can be had again."""
        top_p = 1.0 if self.top_p is None else self.top_p
        return Sampling(self.temperature or 0.0, top_p, max(0, self.top_k or 0)).effective

    def options(self) -> ChatOptions:
        """What is asked of the answer beside that. Raises UnsupportedParameter, InvalidRequest and InvalidValue."""
        tool, (place, wanted) = self.tool(), self._format()
        found: ResponseFormat | None = None
        if tool is not None:
            if wanted is not None:
                raise errors.InvalidRequest(
                    f"'{place}' is for answers, and a tool has to be used; send one of the two.", param=place
                )
            found = arguments_format((self.tools or [])[tool], "input_schema", f"tools.{tool}.input_schema")
        elif wanted is not None:
            schema = JsonSchema.model_validate({"name": "answer", "schema": wanted.wanted or {}})
            found = ResponseFormat(type=wanted.type, json_schema=schema)
        return ChatOptions(
            self.max_tokens,
            tuple(self.stop_sequences or ()),
            found,
            reasoning=self.thinking is not None and self.thinking.type != "disabled",
        )

    def own_names(self) -> dict[str, str]:
        """The names here by those of the chat."""
        tool, wanted = self.tool(), self._format()[0]
        schema = f"{wanted}.schema"
        if tool is not None:
            wanted = schema = f"tools.{tool}.input_schema"
        return {
            "reasoning": "thinking",
            "response_format": wanted,
            "response_format.json_schema": wanted,
            "response_format.json_schema.schema": schema,
        }

    def _format(self) -> tuple[str, OutputFormat | None]:
        """What an answer has to be, and the name of the member that says so."""
        config = self.output_config
        if config is not None and config.format is not None:
            return "output_config.format", config.format
        return "output_format", self.output_format
