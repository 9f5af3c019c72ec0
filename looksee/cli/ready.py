"""`looksee ready`: whether a service takes requests, for the health probe of a container, which has no curl."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request

import click

_DEFAULT = "http://127.0.0.1:{port}"
_MOST_BYTES = 1 << 16


@click.command(epilog="\b\nExample:\n  looksee ready --model moondream")
@click.option("--url", help="The service's address.  [default: this machine, at PORT or 3000]")
@click.option("--model", help="Ask whether this model takes requests, too.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=5.0, show_default=True, help="Seconds.")
def ready(url: str | None, model: str | None, timeout: float) -> None:
    """Say whether a service takes requests. The exit code is 0 if it does, and 1 if not.

    It asks /readyz, and takes no more than the standard library, so that a probe costs little.
    """
    base = (url or _DEFAULT.format(port=os.environ.get("PORT") or "3000")).rstrip("/")
    address = f"{base}/readyz" + (f"?{urllib.parse.urlencode({'model': model})}" if model else "")
    # No proxy of the environment stands between a machine and itself.
    opener = (
        urllib.request.build_opener(urllib.request.ProxyHandler({})) if url is None else urllib.request.build_opener()
    )
    try:
        with opener.open(address, timeout=timeout) as response:
            said = response.read(_MOST_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            reason = _detail(error.read(_MOST_BYTES))
        raise click.ClickException(f"not ready: {base} answered with status {error.code}{reason}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        raise click.ClickException(f"not ready: {base} does not answer ({cause})") from None
    try:
        status = json.loads(said)["status"]
    except (ValueError, KeyError, TypeError):
        raise click.ClickException(f"not ready: {base} does not answer as a Looksee does") from None
    click.echo(f"{base}: {status}")


def _detail(said: bytes) -> str:
    try:
        return f": {json.loads(said)['detail']}"
    except (ValueError, KeyError, TypeError):
        return ""
