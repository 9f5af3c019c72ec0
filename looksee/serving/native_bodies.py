"""Bodies of the native methods, read as every JSON body here is: BentoML's own reading ignores members that a method
does not have, takes JSON for an empty form, and hides what is wrong with a body.
"""

from __future__ import annotations

from typing import Any

from _bentoml_sdk.method import APIMethod
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from starlette.requests import ClientDisconnect, Request

from looksee.core import errors
from looksee.http import error_responses
from looksee.http.dialects import bento_methods
from looksee.settings import Settings


def read_by_dialect(method: APIMethod[Any, Any, Any], settings: Settings) -> None:
    """Have the method's bodies read by `bento_methods.read`."""

    async def from_http_request(kind: Any, request: Request, serde: Any) -> Any:
        try:
            return await bento_methods.read(request, kind, method.route, settings)
        except errors.LookseeError as error:
            raise _carried(error) from error
        except ClientDisconnect as left:
            raise _carried(errors.Cancelled("The caller left.")) from left

    spec: Any = method.input_spec
    spec.from_http_request = classmethod(from_http_request)


def _carried(error: errors.LookseeError) -> ValidationError:
    """An error that BentoML answers with its words, so that the edge can read it: of others it tells nothing."""
    told = PydanticCustomError(error_responses.carried_type(error), "{words}", {"words": error.message})
    details: InitErrorDetails = {"type": told, "loc": (error.param,) if error.param else (), "input": None}
    return ValidationError.from_exception_data("Input", [details])
