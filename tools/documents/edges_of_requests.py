"""The edges of requests as such: their size, their time, and who sends them."""

from __future__ import annotations

from looksee.core import errors
from looksee.http.edge.connection import HEAD_BYTES, HEAD_SECONDS, LINGER_SECONDS, UNREAD_SECONDS
from looksee.http.edge.exchange import BODY_PAUSE
from looksee.http.inputs.bodies import MOST_NAMES
from tools.documents.edge import RETRY_AFTER, Edge

EDGES_OF_REQUESTS: dict[str, list[Edge]] = {
    "Requests": [
        Edge("bytes of a body", "LOOKSEE_MAX_REQUEST_BYTES", errors.RequestTooLarge, "counted as it arrives"),
        Edge(
            "bytes of all bodies under way",
            "LOOKSEE_MAX_UPLOAD_BYTES",
            errors.Overloaded,
            "before a body is read if its length is told; one that arrives slowly gives way to others",
            RETRY_AFTER,
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
        Edge("a route of Ollama's that makes embeddings or models", "", errors.NotOffered),
        Edge("a failure inside the service", "", errors.LookseeError, "the log has the traceback"),
        Edge(
            "a request after the process was told to end",
            "LOOKSEE_DRAIN_SECONDS",
            errors.ServiceStopping,
            "what was accepted is answered within these seconds",
            f"{RETRY_AFTER}, `Connection: close`",
        ),
    ],
    "Time": [
        Edge(
            "seconds from the body's arrival to the answer",
            "LOOKSEE_REQUEST_TIMEOUT_SECONDS",
            errors.DeadlineExceeded,
            "`X-Request-Timeout` asks for less, loads included; else the time of a load is not counted",
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
        Edge("seconds of a pull", "86,400", errors.DeadlineExceeded, "asked again it goes on"),
        Edge(
            "seconds a request waits for weights that are loading",
            "LOOKSEE_LOAD_WAIT_SECONDS",
            errors.ModelNotReady,
            "beside its own time, unless `X-Request-Timeout` says that",
            header=RETRY_AFTER,
        ),
        Edge(
            "seconds after weights could not be loaded",
            "LOOKSEE_LOAD_RETRY_SECONDS",
            errors.WeightsUnavailable,
            "then a request has it tried again",
            header=RETRY_AFTER,
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
        Edge(
            "weights that are pulled without the service's key", "API_KEY", errors.MissingKey, "none set: anybody may"
        ),
        Edge("an admin route where no key is set", "API_KEY", errors.AdminClosed, "open with `DEBUG=true`"),
        Edge(
            "requests to models a minute",
            "LOOKSEE_REQUESTS_PER_MINUTE",
            errors.RateLimited,
            "of each key, or each address",
            f"{RETRY_AFTER}, `X-RateLimit-Limit`, `X-RateLimit-Remaining`",
        ),
    ],
}
