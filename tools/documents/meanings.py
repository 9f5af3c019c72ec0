"""What each error code means to a caller, and what to do about it. A code without a line here fails `make docs`."""

from __future__ import annotations

MEANINGS: dict[str, tuple[str, str]] = {
    "invalid_request": (
        "the body or a header cannot be read: no JSON, no base64, a malformed form or schema",
        "correct the request",
    ),
    "empty_file": ("a file has no bytes", "send the file again"),
    "corrupt_image": ("the file begins as a picture and cannot be decoded", "send an intact file"),
    "image_url_not_allowed": (
        "the picture's address is not one that the operator allows, or is not written plainly",
        "send the picture itself, or have its host added to `LOOKSEE_IMAGE_URL_HOSTS`",
    ),
    "task_not_supported": ("the model cannot do this task", "choose one of the models that the message names"),
    "unsupported_parameter": (
        "a parameter that the route does not have, or one that would change the answer and has no effect here",
        "leave out the parameter in `param`, or spell it as the message says",
    ),
    "missing_key": ("the request carries no key", "send one; see [keys](security.md#keys)"),
    "wrong_key": ("the key is not one of this service's", "check the key"),
    "admin_closed": ("the admin routes have no key", "set `API_KEY` and start again"),
    "foreign_origin": (
        "a web page of another origin had the browser send this",
        "have the origin added to [`LOOKSEE_ALLOWED_ORIGINS`](security.md#pages-of-other-origins)",
    ),
    "not_found": ("there is nothing at this address", "check the path; `/docs` lists all"),
    "model_not_found": ("the address, or a chat, names a model that does not exist", "`GET /v1/models` lists them"),
    "context_length_exceeded": (
        "a chat has too many tokens for the model, which the message counts",
        "send shorter texts, fewer pictures or fewer earlier turns",
    ),
    "picture_not_found": (
        "an id of a [picture that was kept](pictures.md#sent-once-named-afterwards) is not known, or not any more",
        "send the picture again with `PUT /v1/pictures`, or in the id's place",
    ),
    "method_not_allowed": ("the address does not take this HTTP method", "use the method that `/docs` shows"),
    "request_too_large": (
        "the body has too many bytes, or its JSON too many values",
        "send fewer pictures in a request",
    ),
    "file_too_large": ("one picture file has too many bytes", "send a smaller file, or raise `MAX_CONTENT_LENGTH`"),
    "too_many_files": ("the request has too many pictures", "send several requests, or a batch"),
    "too_many_items": ("the batch has too many items", "send several batches"),
    "image_too_large": ("the picture has too many pixels, or does not fit a model's batch", "send a smaller picture"),
    "unsupported_image_type": ("the file's bytes are of no accepted [format](pictures.md)", "do what the message says"),
    "unsupported_media_type": ("the body's Content-Type is not taken here", "use JSON or a form, as `/docs` shows"),
    "invalid_value": ("a value is missing, of the wrong type or out of range", "correct the member in `param`"),
    "image_not_fetched": (
        "an allowed address gave no picture in time; the log of the service has the reason",
        "check the address, or send the picture itself",
    ),
    "image_too_small": ("a side of the picture is too short", "send a larger picture"),
    "unknown_model": ("a parameter names a model that does not exist", "choose one of those in the message"),
    "prompt_too_long": ("the prompt has too many characters, or too many tokens for the model", "shorten it"),
    "structured_output_failed": (
        "three answers did not follow what is only checked of a schema, or a form takes too much to follow",
        "use a simpler schema or another model; the same request fails again",
    ),
    "overloaded": ("the model's queue is full, or too many pictures are being fetched", "wait `Retry-After` seconds"),
    "rate_limited": ("the client has used up its requests of this minute", "wait `Retry-After` seconds"),
    "internal_error": ("a defect of the service; the log has the traceback", "report it with the `request_id`"),
    "not_offered": ("the dialect has this route elsewhere, and no model here can do it", "use another route"),
    "runner_failed": ("the model's process failed on this request or died", "try again; it is started again"),
    "cloud_failed": ("Moondream's cloud failed or cannot be reached", "wait `Retry-After` seconds"),
    "cloud_key_refused": ("Moondream's cloud refused the operator's key", "the operator checks the key"),
    "model_not_ready": ("the model's weights are loading, or it is being released", "wait `Retry-After` seconds"),
    "weights_unavailable": (
        "the model's weights cannot be fetched or read; the log of the service has the reason",
        "the operator [pulls the weights](models.md#pull-weights-ahead)",
    ),
    "out_of_memory": ("this request alone does not fit the memory", "send fewer or smaller pictures"),
    "service_stopping": (
        "the service was told to end; it still answers what it has accepted, within `LOOKSEE_DRAIN_SECONDS`",
        "send it again: another one behind the balancer, or the next one, takes it",
    ),
    "cache_unavailable": (
        "Redis does not answer an admin route, or where a picture is named by its id",
        "wait `Retry-After` seconds, or send the picture itself",
    ),
    "deadline_exceeded": ("there was no answer within the request's time", "try again, or ask for less"),
}
