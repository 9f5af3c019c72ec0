"""Behaviour at the edges: every limit, what it is set by, and what a request beyond it gets.

Status and code come from the error's class and the default from the setting, so neither can be written down wrongly.
Limits that no setting moves have their number here, and `tests/docs/test_edges.py` sends one more than that.
"""

from __future__ import annotations

from looksee.core import errors
from looksee.core.images import mib
from looksee.core.scoring.tokens import MOST_ALTERNATIVES
from looksee.core.tags import MOST as MOST_TAGS
from looksee.http.inputs.forced.texts import LONGEST_REGEX, MOST_CHOICES
from looksee.http.inputs.parameters import MOST_NAMES
from looksee.http.inputs.validation import MOST_OBJECTS
from looksee.http.inputs.wording.fields import MOST_WORDS
from looksee.http.skills.classify import LONGEST_LABEL, MOST_LABELS
from looksee.settings import tables as setting_tables
from tools.documents.edge import RETRY_AFTER, Edge
from tools.documents.edges_of_requests import EDGES_OF_REQUESTS
from tools.documents.tables import table

_OF_BYTES = ("_BYTES", "MAX_CONTENT_LENGTH")

EDGES: dict[str, list[Edge]] = {
    **EDGES_OF_REQUESTS,
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
    "Kept pictures": [
        Edge("pictures that are kept", "LOOKSEE_MAX_KEPT_PICTURES", None, "the oldest give way; 0: 501 `not_offered`"),
        Edge("bytes of the pictures that are kept", "LOOKSEE_MAX_KEPT_BYTES", None, "the oldest give way"),
        Edge("bytes of one, more than all may have", "LOOKSEE_MAX_KEPT_BYTES", errors.FileTooLarge),
        Edge(
            "seconds since a picture was last sent",
            "LOOKSEE_KEPT_PICTURE_SECONDS",
            errors.PictureNotFound,
            "wherever its id stands; also of an id that was never known, or is another key's",
        ),
        Edge("a text that begins as an id and is none", "", errors.InvalidValue),
        Edge("bytes of all pictures of a request by ids", "LOOKSEE_MAX_REQUEST_BYTES", errors.RequestTooLarge),
        Edge("ids while Redis does not answer", "", errors.CacheUnavailable, "", RETRY_AFTER),
    ],
    "Pictures by address": [
        Edge("a host that is not named", "LOOKSEE_IMAGE_URL_HOSTS", errors.ImageUrlNotAllowed, "nothing is looked up"),
        Edge("characters of an address", "4,096", errors.ImageUrlNotAllowed),
        Edge("redirects", "3, on the same host", errors.ImageNotFetched),
        Edge("any other failure of a fetch", "", errors.ImageNotFetched, "the same words for every reason"),
        Edge("bytes of all fetched pictures of a request", "LOOKSEE_MAX_REQUEST_BYTES", errors.RequestTooLarge),
        Edge("fetches at a time in a gateway process", "8", errors.Overloaded, "after waiting for one", RETRY_AFTER),
    ],
    "Words and answers": [
        Edge("characters of a prompt", "LOOKSEE_MAX_PROMPT_CHARS", errors.PromptTooLong),
        Edge("tokens of a prompt", "the model's context", errors.PromptTooLong),
        Edge("characters of a chat", "LOOKSEE_MAX_CHAT_CHARS", errors.ContextLengthExceeded, "all turns together"),
        Edge(
            "tokens of a chat",
            "the model's context",
            errors.ContextLengthExceeded,
            "the message has both numbers; `max_model_len` in `/v1/models` is the context",
        ),
        Edge("a question of nothing but space", "", errors.InvalidValue),
        Edge(
            "new tokens of an answer",
            "LOOKSEE_MAX_NEW_TOKENS",
            errors.InvalidValue,
            "the answer itself is cut at the number asked for, and `finish_reason` is `length`",
        ),
        Edge(
            "new tokens of an answer in a chat, and to Moondream's clients",
            "LOOKSEE_MAX_NEW_TOKENS",
            None,
            "as many as there may be, and `X-Looksee-Max-Tokens` says so",
        ),
        Edge("`max_objects`", f"{MOST_OBJECTS}", errors.InvalidValue),
        Edge("`objects` of a request", f"1 to {MOST_NAMES}", errors.InvalidValue, "one that fails loses no other"),
        Edge("`object` and `objects` together, or neither", "", errors.InvalidValue),
        Edge("`threshold`", "0 to 1", errors.InvalidValue),
        Edge(
            "`max_words`",
            f"{MOST_WORDS:,}",
            errors.InvalidValue,
            "a text with more words than asked for is cut, and `finish_reason` is `length`",
        ),
        Edge("`language` that is none, or that nobody here knows", "", errors.InvalidValue),
        Edge("`labels` of a request", f"2 to {MOST_LABELS}, of {LONGEST_LABEL} characters each", errors.InvalidValue),
        Edge("`top_logprobs`", f"{MOST_ALTERNATIVES}", errors.InvalidValue, openai=True),
        Edge("`top_logprobs` without `logprobs`", "", errors.InvalidRequest, openai=True),
        Edge("tags of a caption", f"{MOST_TAGS}", None, "the first ones are kept"),
        Edge("messages of a chat", "1,024", errors.InvalidValue, openai=True),
        Edge(
            "a chat whose last message says nothing",
            "",
            errors.InvalidValue,
            "earlier ones are passed over",
            openai=True,
        ),
        Edge("parts of a message", "256", errors.InvalidValue, openai=True),
        Edge("pictures of a chat", "LOOKSEE_MAX_FILES", errors.TooManyFiles, openai=True),
        Edge("stop strings of a chat", "4, of 256 characters each", errors.InvalidValue, openai=True),
        Edge("functions of a chat", "128", errors.InvalidValue, openai=True),
        Edge(
            "functions of a chat of which none is forced",
            "",
            errors.UnsupportedParameter,
            'unless `tool_choice` is `"none"`',
            openai=True,
        ),
        Edge("stop strings of Ollama's `options`", "16, of 256 characters each", errors.InvalidValue),
        Edge(
            "`num_predict` of Ollama's `options`", "LOOKSEE_MAX_NEW_TOKENS", None, "cut down; `done_reason` is `length`"
        ),
        Edge("characters of a model's name in Ollama's API", "256", errors.InvalidValue),
        Edge("`spatial_refs` of a request", "64", errors.InvalidValue),
        Edge(
            "tries to write JSON of a schema",
            "3",
            errors.StructuredOutputFailed,
            "forced at the first, but for keywords that are only checked",
            openai=True,
        ),
        Edge("`choices` of an answer", f"{MOST_CHOICES}", errors.InvalidValue),
        Edge("characters of a `regex`", f"{LONGEST_REGEX:,}", errors.InvalidValue),
        Edge(
            "a form that no answer can have, or that takes too much",
            "",
            errors.InvalidRequest,
            "the message says what is wrong with it",
        ),
        Edge(
            "a parameter of the OpenAI API that has no effect here",
            "",
            errors.UnsupportedParameter,
            "values that ask for nothing are taken; the message names them",
        ),
        Edge("a stored response or conversation, referred to", "", errors.UnsupportedParameter, "nothing is stored"),
        Edge("the address of a stored response", "", errors.NotFound, "nothing is stored"),
    ],
    "Models": [
        Edge(
            "seconds that a model stands still in one operation",
            "LOOKSEE_STALL_SECONDS",
            errors.RunnerFailed,
            "its process is replaced",
            RETRY_AFTER,
        ),
        Edge(
            "seconds that nobody asks a model",
            "LOOKSEE_KEEP_ALIVE_SECONDS",
            None,
            "it is released until it is asked",
        ),
        Edge(
            "seconds that a process does not react", "LOOKSEE_SILENCE_SECONDS", None, "it is killed, and started again"
        ),
        Edge("a model that `LOOKSEE_MODELS` does not name", "LOOKSEE_MODELS", errors.UnknownModel, "as an unknown one"),
        Edge("a model's name in a parameter", "", errors.UnknownModel, "an unknown one"),
        Edge("a model's name in a chat, or in an address", "", errors.ModelNotFound, "an unknown one"),
        Edge(
            "a task that the model does not have", "", errors.TaskNotSupported, "the message names those that have it"
        ),
        Edge("models loaded at a time", "MODEL_CAPACITY", None, "an idle one is released, else they take turns"),
        Edge(
            "rows that wait for a model",
            "LOOKSEE_MAX_QUEUE",
            errors.Overloaded,
            "forms of `/api`: before the body is read",
            RETRY_AFTER,
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
        Edge("an admin route of the cache without Redis", "", errors.CacheUnavailable, "", RETRY_AFTER),
        Edge("the cloud's answer", "1 MiB, no redirect", errors.CloudFailed, "", RETRY_AFTER),
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
            answer = f"{edge.status} `{edge.error.code}`" if edge.error else ""
            rows.append((edge.what, _limit(edge.limit, defaults), answer, edge.header, edge.note))
    return table(("what", "limit (default)", "beyond it", "headers", "note"), rows)


def _limit(limit: str, defaults: dict[str, str]) -> str:
    if not limit.isupper():  # a fixed number, or none
        return limit
    default = defaults[limit]
    shown = mib(int(default)) if limit.endswith(_OF_BYTES) and int(default) else default
    return f"`{limit}`" + (f" ({shown})" if shown else "")
