"""The addresses of runners that are served alone, as the setting of a model lists them."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

_USUAL_PORTS = {"http": 80, "https": 443}


def split(text: str) -> list[str]:
    """The addresses in a list that was `checked`, in its order: `http://models-1:3001`."""
    return [url for url in text.split(",") if url]


def checked(text: str) -> str:
    """The list in one form: no white space, no slash at an end, scheme and host in small letters.

    Raises ValueError, which says what is accepted and never quotes a password.
    """
    found: list[str] = []
    for entry in text.split(",") if text.strip() else ():
        url = _checked(entry.strip())
        if url in found:
            raise ValueError(f"{url} is there twice")
        found.append(url)
    return ",".join(found)


def host(url: str) -> str:
    """The host and port of a checked address, by which logs and metrics name it."""
    return urlsplit(url).netloc


def _checked(entry: str) -> str:
    form = "write an address as http://models-1:3001, several with commas between them"
    if not entry:
        raise ValueError(f"an address in the list is empty; {form}")
    try:
        parts = urlsplit(entry)
        port = parts.port
    except ValueError:
        raise ValueError(f"an address in the list has no valid host and port; {form}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address holds a name or a password; a runner's key is LOOKSEE_RUNNER_KEY")
    if parts.scheme not in _USUAL_PORTS or not parts.hostname or any(sign.isspace() for sign in entry):
        raise ValueError(f"'{entry}' is no address of a runner; {form}")
    if _has_more(parts):
        raise ValueError(f"'{entry}' has more than scheme, host and port, which a runner's address has not; {form}")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}" + (f":{port}" if port and port != _USUAL_PORTS[parts.scheme] else "")


def _has_more(parts: SplitResult) -> bool:
    return bool(parts.path.strip("/") or parts.query or parts.fragment)
