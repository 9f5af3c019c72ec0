"""Headers for browsers: what may be loaded and run in a page, and that no other page may show it in a frame."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping

# An inline script or style is named by the hash of its text: any other one is not run.
_INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)
# Of every answer that does not say otherwise: opened by itself, as a picture or JSON, it runs nothing.
# The referrer is for the service alone; without any, browsers would call the origin of their own page's forms `null`.
OF_ANY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def headers(html: bytes, **more: str) -> Mapping[str, str]:
    """For a page. Everything comes from this service; `more` are further sources by the directive, as in
    `worker_src="blob:"`.
    """
    found: dict[str, list[str]] = {"script": ["'self'"], "style": ["'self'"]}
    for match in _INLINE.finditer(html):
        found[match[1].decode()].append(f"'sha256-{base64.b64encode(hashlib.sha256(match[2]).digest()).decode()}'")
    directives = {
        "default-src": "'none'",
        "script-src": " ".join(found["script"]),
        "style-src": " ".join(found["style"]),
        "img-src": "'self' blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    for name, sources in more.items():
        directive = name.replace("_", "-")
        directives[directive] = f"{directives.get(directive, '')} {sources}".strip()
    policy = "; ".join(f"{name} {sources}" for name, sources in directives.items())
    return {**OF_ANY, "Content-Security-Policy": policy, "Cross-Origin-Opener-Policy": "same-origin"}
