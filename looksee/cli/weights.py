"""`looksee pull` and `looksee models`: fetch published weights before they are needed, and see what is here."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from looksee.models.weights.source import WeightsSource


@click.command(
    short_help="Fetch published weights ahead.",
    epilog="\b\nExamples:\n  looksee pull moondream\n  looksee pull --all",
)
@click.argument("names", metavar="[MODEL]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every model of the catalogue.")
def pull(names: tuple[str, ...], everything: bool) -> None:
    """Fetch the published weights of MODEL ahead, so that its first request need not wait.

    What LOOKSEE_<MODEL>_WEIGHTS names is fetched, or else the pinned commit of the catalogue. An interrupted pull goes
    on where it ended when it is given again. `looksee models` lists the names.
    """
    sources = _sources()
    unknown = [name for name in names if name not in sources]
    if unknown:
        raise click.BadParameter(f"there is no model '{unknown[0]}'. Choose from: {', '.join(sources)}.")
    if not names and not everything:
        raise click.UsageError(f"Name a model, or say --all. Choose from: {', '.join(sources)}.")
    done = [_pull(source) for name, source in sources.items() if everything or name in names]
    if not all(done):
        raise SystemExit(1)


@click.command(epilog="\b\nExample:\n  looksee models")
def models() -> None:
    """List the catalogue, and what of it is on this machine."""
    from looksee.models.registry import REGISTRY

    head = ("name", "model", "hub id", "licence", "gated", "parameters", "bf16", "to fetch", "here")
    rows = [head]
    for name, source in _sources().items():
        entry = REGISTRY[name]
        numbers = (entry.size, _gigabytes(entry.bf16_bytes), _gigabytes(entry.hub_bytes))
        gated = "yes" if entry.gated else "no"
        rows.append((name, entry.title, entry.hub_id, entry.licence, gated, *numbers, _here(source, entry.hub_id)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _sources() -> dict[str, WeightsSource]:
    """Where the published weights of each model that there is come from, as it is set here."""
    from looksee.settings import settings

    config = settings()  # reads .env, which may name a hub, a cache or a token: before the hub's client looks
    logging.getLogger("looksee").addHandler(logging.NullHandler())  # what goes wrong is said once, in a sentence
    from looksee.models.weights.source import resolve

    own = {name: config.model(name).weights for name in config.served_models()}
    return {name: resolve(name, "hub", "" if choice == "sample" else choice) for name, choice in own.items()}


def _pull(source: WeightsSource) -> bool:
    """Fetch one model's weights and say how it went; False if it failed."""
    from huggingface_hub.utils.tqdm import disable_progress_bars
    from tqdm import tqdm

    from looksee.models.weights.hub import HubError

    if source.kind != "hub":
        there = source.fetched()
        click.echo(f"{source.model}: a directory is set, nothing to fetch: {source.location}", err=not there)
        if not there:
            click.echo(f"{source.model}: there is no checkpoint in it.", err=True)
        return there is not None
    disable_progress_bars()  # ours counts the bytes of all files
    click.echo(f"{source.model}: {source.location} at {source.revision[:12]}")
    try:
        with tqdm(desc=source.model, unit="B", unit_scale=True, disable=None, leave=False, dynamic_ncols=True) as bar:

            def tell(here: int, total: int) -> None:
                if bar.total is None:  # what was here before is no work of this run
                    bar.reset(total)
                    bar.initial = bar.n = here
                bar.update(here - bar.n)

            directory = source.fetch(tell)
    except HubError as error:
        click.echo(f"{source.model}: {error}", err=True)
        return False
    except KeyboardInterrupt:
        click.echo(f"\n{source.model}: interrupted; the same command goes on from here.", err=True)
        raise SystemExit(130) from None
    click.echo(f"{source.model}: {_gigabytes(_size(directory))} in {directory}")
    return True


def _here(source: WeightsSource, published: str) -> str:
    """How much of a model's weights is on this machine."""
    directory = source.fetched()
    other = "" if source.location == published else f" of {source.location}"
    return (_gigabytes(_size(directory)) if directory else "-") + other


def _size(directory: Path) -> int:
    """Bytes of a checkpoint's files; the hub's cache has links to them."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e7 else f"{count / 1e6:.2f} MB"
