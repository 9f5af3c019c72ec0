"""Behaviour at the edges: every limit, what it is set by, and what a request beyond it gets.

Status and code come from the error's class and the default from the setting, so neither can be written down wrongly.
Limits that no setting moves have their number here, and `tests/docs/test_edges.py` sends one more than that.
"""

from __future__ import annotations

from dataclasses import dataclass

from looksee.core import errors
from looksee.core.images import mib
from looksee.core.tags import MOST as MOST_TAGS
from looksee.http.edge.connection import HEAD_BYTES, HEAD_SECONDS, LINGER_SECONDS, UNREAD_SECONDS
from looksee.http.edge.exchange import BODY_PAUSE
from looksee.http.inputs.bodies import MOST_NAMES
from looksee.http.inputs.validation import MOST_OBJECTS
from looksee.settings import tables as setting_tables
from tools.documents.tables import table

_RETRY_AFTER = "`Retry-After`"
_OF_BYTES = ("_BYTES", "MAX_CONTENT_LENGTH")


@dataclass(frozen=True, slots=True)
class Edge:
    """A limit. `limit` is the name of a setting's variable, or a fixed number in words; empty where there is neither.

    `error` is None where nothing is refused: `note` says what happens then.
    """

    what: str
    limit: str
    error: type[errors.LookseeError] | None
    note: str = ""
    header: str = ""


EDGES: dict[str, list[Edge]] = {
    "Requests": [
        Edge("bytes of a body", "LOOKSEE_MAX_REQUEST_BYTES", errors.RequestTooLarge, "counted as it arrives"),
        Edge(
            "bytes of all bodies under way",
            "LOOKSEE_MAX_UPLOAD_BYTES",
            errors.Overloaded,
            "before a body is read if its length is told; one that arrives slowly gives way to others",
            _RETRY_AFTER,
        ),
        Edge(
            "bytes of a compressed body, unpacked",
            "LOOKSEE_MAX_REQUEST_BYTES",
            errors.RequestTooLarge,
            "no more is unpacked than that",
        ),
        Edge(
            "a `Content-Encoding` but gzip and deflate",
            "",
            errors.UnsupportedMediaType,
            header="`Accept-Encoding: gzip, deflate`",
        ),
        Edge("a compressed body that is none, or breaks off", "", errors.InvalidRequest),
        Edge(
            "connections to a gateway process",
            "its file descriptors (`ulimit -n`)",
            None,
            "further ones are closed at once",
        ),
        Edge("bytes of a request's line and headers", f"about {HEAD_BYTES:,}", errors.RequestTooLarge),
        Edge("what is no HTTP request", "", errors.InvalidRequest, "the connection is closed"),
        Edge("values in a JSON body", "about 1,000,000", errors.RequestTooLarge, "whatever the Content-Type"),
        Edge("names and texts in a JSON body", f"{MOST_NAMES:,}", errors.RequestTooLarge, "not of a batch"),
        Edge("a body that is not JSON where JSON is expected", "", errors.InvalidRequest),
        Edge("JSON in UTF-16 or UTF-32", "", errors.InvalidRequest, "a byte order mark before UTF-8 is passed over"),
        Edge(
            "a member that is missing or has a wrong type",
            "",
            errors.InvalidValue,
            "`param` names it, and the message says what is accepted",
        ),
        Edge(
            "a member, form field or query parameter that the route does not have",
            "",
            errors.UnsupportedParameter,
            "the nearest name is told; null, and an empty field of a form, are as not given",
        ),
        Edge("a member that an item of a batch does not have", "", errors.InvalidValue, "in the item's line"),
        Edge("different values of one parameter, in the form and the query or twice", "", errors.InvalidRequest),
        Edge("a body where none is taken", "", errors.UnsupportedParameter),
        Edge("multipart/form-data on a route of JSON", "", errors.UnsupportedMediaType),
        Edge("no JSON, and a Content-Type that says so, on a route of JSON", "", errors.UnsupportedMediaType),
        Edge("a form without a boundary, or whose body lacks it or its end", "", errors.InvalidRequest),
        Edge("parts of a form, texts", "1,000, of 1 MiB each", errors.InvalidRequest),
        Edge("slashes too many in an address", "", None, "are passed over"),
        Edge("a page of another origin that reads", "LOOKSEE_ALLOWED_ORIGINS", None, "gets no answer from its browser"),
        Edge(
            "a page of another origin that has work done, or asks an admin route",
            "LOOKSEE_ALLOWED_ORIGINS",
            errors.ForeignOrigin,
            "by what its browser says: `Sec-Fetch-Site`, `Origin`",
        ),
        Edge("a WebSocket", "", None, "its handshake is answered 403"),
        Edge("an unknown address", "", errors.NotFound),
        Edge("a wrong HTTP method", "", errors.MethodNotAllowed),
        Edge("a route that no model here can serve", "", errors.NotOffered, "`/v1/segment`, `/v1/tuning/...`"),
        Edge("a failure inside the service", "", errors.LookseeError, "the log has the traceback"),
    ],
    "Time": [
        Edge(
            "seconds from the body's arrival to the answer",
            "LOOKSEE_REQUEST_TIMEOUT_SECONDS",
            errors.DeadlineExceeded,
            "`X-Request-Timeout` asks for less; 503 while the weights still load",
        ),
        Edge(
            "seconds of the whole request, upload included", "the time to answer and 20 more", errors.DeadlineExceeded
        ),
        Edge(
            "seconds in which no byte of a body comes",
            f"{BODY_PAUSE:.0f}",
            errors.DeadlineExceeded,
        ),
        Edge(
            "seconds from a connection, or a request's first byte, to the end of its headers",
            f"{HEAD_SECONDS:.0f}",
            None,
            "the connection is closed",
        ),
        Edge(
            "seconds in which the rest of a body is dropped whose request has been answered",
            f"{LINGER_SECONDS:.0f}",
            None,
            "then the connection is closed",
        ),
        Edge(
            "seconds in which a client reads nothing of its answer",
            f"{UNREAD_SECONDS:.0f}",
            None,
            "the connection is dropped",
        ),
        Edge("`X-Request-Timeout` that is no positive number", "", errors.InvalidValue),
        Edge(
            "seconds of a batch",
            "LOOKSEE_BATCH_TIMEOUT_SECONDS",
            errors.DeadlineExceeded,
            "in the line of each item that is left",
        ),
        Edge(
            "seconds a request waits for weights that are loading",
            "LOOKSEE_LOAD_WAIT_SECONDS",
            errors.ModelNotReady,
            header=_RETRY_AFTER,
        ),
        Edge(
            "seconds in which a picture is fetched from an address",
            "LOOKSEE_IMAGE_URL_TIMEOUT_SECONDS",
            errors.ImageNotFetched,
            "redirects included",
        ),
        Edge(
            "seconds without data in a stream or a batch",
            "LOOKSEE_HEARTBEAT_SECONDS",
            None,
            "a comment is sent, or a space before a batch's next line",
        ),
        Edge("a caller that leaves", "", None, "its work is cancelled; the access log says 499"),
    ],
    "Keys and rates": [
        Edge("no client key", "LOOKSEE_CLIENT_KEYS", errors.MissingKey, header="`WWW-Authenticate: Bearer`"),
        Edge("a wrong client key", "LOOKSEE_CLIENT_KEYS", errors.WrongKey, "before the body is read"),
        Edge("`/metrics` without its key", "LOOKSEE_METRICS_KEY", errors.MissingKey),
        Edge("an admin route where no key is set", "API_KEY", errors.AdminClosed, "open with `DEBUG=true`"),
        Edge(
            "requests to models a minute",
            "LOOKSEE_REQUESTS_PER_MINUTE",
            errors.RateLimited,
            "of each key, or each address",
            f"{_RETRY_AFTER}, `X-RateLimit-Limit`, `X-RateLimit-Remaining`",
        ),
    ],
    "Pictures": [
        Edge("bytes of a file", "MAX_CONTENT_LENGTH", errors.FileTooLarge),
        Edge("pictures of a request", "LOOKSEE_MAX_FILES", errors.TooManyFiles),
        Edge("pixels of a picture", "LOOKSEE_MAX_PIXELS", errors.ImageTooLarge, "read from the header, not decoded"),
        Edge("pixels of the shortest side, at least", "LOOKSEE_MIN_SIDE", errors.ImageTooSmall),
        Edge("an empty file", "", errors.EmptyFile),
        Edge("bytes of no format that is set", "LOOKSEE_IMAGE_FORMATS", errors.UnsupportedImageType, "not the name"),
        Edge("a damaged picture", "", errors.CorruptImage),
        Edge("a text that is no base64", "", errors.InvalidRequest),
        Edge("one bad file among several", "", None, "its result has the `error`; the status is 200 without `strict`"),
        Edge("characters of a file's name", "255", None, "the rest is cut off"),
    ],
    "Pictures by address": [
        Edge("a host that is not named", "LOOKSEE_IMAGE_URL_HOSTS", errors.ImageUrlNotAllowed, "nothing is looked up"),
        Edge("characters of an address", "4,096", errors.ImageUrlNotAllowed),
        Edge("redirects", "3, on the same host", errors.ImageNotFetched),
        Edge("any other failure of a fetch", "", errors.ImageNotFetched, "the same words for every reason"),
        Edge("bytes of all fetched pictures of a request", "LOOKSEE_MAX_REQUEST_BYTES", errors.RequestTooLarge),
        Edge("fetches at a time in a gateway process", "8", errors.Overloaded, "after waiting for one", _RETRY_AFTER),
    ],
    "Words and answers": [
        Edge("characters of a prompt or a chat", "LOOKSEE_MAX_PROMPT_CHARS", errors.PromptTooLong),
        Edge("tokens of a prompt", "the model's context", errors.PromptTooLong),
        Edge("a question of nothing but space", "", errors.InvalidValue),
        Edge(
            "new tokens of an answer",
            "LOOKSEE_MAX_NEW_TOKENS",
            errors.InvalidValue,
            "the answer itself is cut at the number asked for, and `finish_reason` is `length`",
        ),
        Edge("`max_objects`", f"{MOST_OBJECTS}", errors.InvalidValue),
        Edge("tags of a caption", f"{MOST_TAGS}", None, "the first ones are kept"),
        Edge("messages of a chat", "1,024", errors.InvalidValue),
        Edge("a chat whose last message says nothing", "", errors.InvalidValue, "earlier ones are passed over"),
        Edge("parts of a message", "256", errors.InvalidValue),
        Edge("stop strings of a chat", "4, of 256 characters each", errors.InvalidValue),
        Edge("`spatial_refs` of a request", "64", errors.InvalidValue),
        Edge("tries to write JSON of a schema", "3", errors.StructuredOutputFailed),
        Edge(
            "a parameter of the OpenAI API that has no effect here",
            "",
            errors.UnsupportedParameter,
            "values that ask for nothing are taken; the message names them",
        ),
    ],
    "Models": [
        Edge("a model that `LOOKSEE_MODELS` does not name", "LOOKSEE_MODELS", errors.UnknownModel, "as an unknown one"),
        Edge("a model's name in a parameter", "", errors.UnknownModel, "an unknown one"),
        Edge("a model's name in an address", "", errors.ModelNotFound, "an unknown one"),
        Edge(
            "a task that the model does not have", "", errors.TaskNotSupported, "the message names those that have it"
        ),
        Edge("models loaded at a time", "MODEL_CAPACITY", None, "an idle one is released, else they take turns"),
        Edge(
            "rows that wait for a model",
            "LOOKSEE_MAX_QUEUE",
            errors.Overloaded,
            "forms of `/api`: before the body is read",
            _RETRY_AFTER,
        ),
        Edge("rows that decode together", "LOOKSEE_<MODEL>_MAX_BATCH_ROWS", None, "further rows wait"),
        Edge(
            "bytes of keys and values of the rows that decode together",
            "LOOKSEE_<MODEL>_MAX_BATCH_BYTES",
            errors.PromptTooLong,
            "for a row that exceeds it alone, with the longest answer that it asks for; otherwise it waits",
        ),
        Edge(
            "bytes of decoded pictures that wait in a runner",
            "LOOKSEE_MAX_PREPARED_BYTES",
            None,
            "no further ones are decoded meanwhile",
        ),
        Edge("rows that are prefilled together", "LOOKSEE_<MODEL>_MAX_PREFILL_ROWS", None, "further rows wait"),
        *(
            Edge(
                f"picture tokens of a running batch ({model})",
                f"LOOKSEE_{model}_MAX_BATCH_IMAGE_TOKENS",
                errors.ImageTooLarge,
                "for a request that exceeds it alone; otherwise its rows wait",
            )
            for model in ("BLIP", "BLIP2", "GEMMA", "MOONDREAM")
        ),
        Edge(
            "picture tiles of a running batch (INTERN_VLM)",
            "LOOKSEE_INTERN_VLM_MAX_BATCH_TILES",
            errors.ImageTooLarge,
            "for a request that exceeds it alone; otherwise its rows wait",
        ),
        Edge("tiles of a picture", "LOOKSEE_INTERN_VLM_MAX_TILES", None, "the picture is cut into fewer"),
        Edge("crops of a picture", "LOOKSEE_MOONDREAM_MAX_CROPS", None, "the picture is cut into fewer"),
        *(
            Edge(
                f"bytes of kept picture features ({model})",
                f"LOOKSEE_{model}_FEATURE_CACHE_BYTES",
                None,
                "the least recently used ones are dropped",
            )
            for model in ("BLIP2", "GEMMA", "INTERN_VLM")
        ),
        *(
            Edge(
                f"bytes of kept prefixes ({model})",
                f"LOOKSEE_{model}_PREFIX_CACHE_BYTES",
                None,
                "the least recently used ones are dropped",
            )
            for model in ("BLIP2", "GEMMA", "INTERN_VLM", "MOONDREAM")
        ),
        Edge("memory that runs out", "", errors.OutOfMemory, "for a row that does not fit alone; others are retried"),
        Edge("weights that cannot be had", "", errors.WeightsUnavailable, "not tried again for 10 seconds"),
        Edge(
            "a runner that fails or dies",
            "",
            errors.RunnerFailed,
            "what was not answered is sent again, in smaller calls, before that",
        ),
    ],
    "Batches": [
        Edge("items of a batch", "LOOKSEE_MAX_BATCH_ITEMS", errors.TooManyItems),
        Edge("entries in `images`", "LOOKSEE_MAX_BATCH_ITEMS", errors.TooManyItems),
        Edge(
            "bytes of the pictures in `images`",
            "LOOKSEE_MAX_REQUEST_BYTES",
            errors.RequestTooLarge,
            "in the item's line",
        ),
        Edge("pictures of a `collective` item", "LOOKSEE_MAX_FILES", errors.TooManyFiles, "in the item's line"),
        Edge("a busy or loading model", "", None, "the batch waits and asks again"),
    ],
    "Cache and cloud": [
        Edge("seconds an answer is kept", "CACHE_TTL_SECONDS", None, "then it is computed again"),
        Edge("milliseconds of a call to Redis", "LOOKSEE_CACHE_TIMEOUT_MS", None, "the request goes on uncached"),
        Edge("bytes of a stored answer", "65,536", None, "a larger one is not stored"),
        Edge("an admin route of the cache without Redis", "", errors.CacheUnavailable, "", _RETRY_AFTER),
        Edge("the cloud's answer", "1 MiB, no redirect", errors.CloudFailed, "", _RETRY_AFTER),
        Edge("the cloud refuses the operator's key", "MOONDREAM_CLOUD_API_KEY", errors.CloudKeyRefused),
    ],
}


def markdown() -> str:
    """One table, in sections. Raises KeyError for a variable that no setting has."""
    defaults = {variable: default for variable, default, _ in setting_tables.rows()}
    rows = []
    for section, edges in EDGES.items():
        rows.append((f"**{section}**", "", "", "", ""))
        for edge in edges:
            answer = f"{edge.error.status} `{edge.error.code}`" if edge.error else ""
            rows.append((edge.what, _limit(edge.limit, defaults), answer, edge.header, edge.note))
    return table(("what", "limit (default)", "beyond it", "headers", "note"), rows)


def _limit(limit: str, defaults: dict[str, str]) -> str:
    if not limit.isupper():  # a fixed number, or none
        return limit
    default = defaults[limit]
    shown = mib(int(default)) if limit.endswith(_OF_BYTES) and int(default) else default
    return f"`{limit}`" + (f" ({shown})" if shown else "")
