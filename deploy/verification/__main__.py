"""Build both images and try them; what was found is written to docs/image-verified.md.

deploy/verify-image [--torch pypi cpu] [--keep] [--output FILE]       # or: make verify-image
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from deploy.image.building import build
from deploy.image.definition import BASE, PYPI, TORCHES, cuda_packages
from deploy.verification import checks
from deploy.verification.base import WHEELS, ensure_base, ensure_redis, torch_wheel
from deploy.verification.containers import ONCE, REDIS_NAME, remove, start, start_redis
from deploy.verification.report import CheckResult, page
from deploy.verification.shell import Shell
from deploy.verification.tour import CLIENTS
from looksee.models.registry import REGISTRY

_OUTPUT = Path("docs/image-verified.md")
_TOOLS = ("podman", "runc", "buildah")
_NAME = "looksee-verify"


class Verification:
    """One run: its results so far, and what each check is given."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self.shell, self.folder = shell, folder
        self.results: list[CheckResult] = []
        self.facts: dict[str, str] = {}

    def check(self, image: str, what: str, tried: Callable[[], str]) -> None:
        """Run one check and keep what came of it; whatever it raises is its failure."""
        try:
            passed, seen = True, tried()
        except Exception as error:  # also of the clients' libraries
            passed, seen = False, f"{type(error).__name__}: {error}"[:1500]
        self.results.append(CheckResult(image, what, passed, seen))
        print(f"{'passed' if passed else 'FAILED'}  {image}: {what}: {seen}", flush=True)

    def image(self, torch: str, stand_in: bool) -> None:
        """Build the image with this build of torch and take all checks of it."""
        tag, title = f"localhost/{_NAME}:{torch}", f"Image of `make image{'' if torch == PYPI else f' TORCH={torch}'}`"
        more = ["--isolation", "chroot", "--layers", "--pull=missing"]
        more += ["--volume", f"{WHEELS}:{WHEELS}:ro"] if stand_in and torch_wheel() else []
        shell, folder = self.shell, self.folder / torch
        folder.mkdir()

        def built() -> str:
            began = time.monotonic()
            build(torch, "podman", tag, arguments=more)
            return f"{time.monotonic() - began:.0f} s"

        def baked(other: str, hub: str) -> None:
            build(torch, "podman", other, bake=["blip"], arguments=more, endpoint=hub)

        self.check(title, "builds", built)
        if not self.results[-1].passed:
            return
        size = int(json.loads(shell.run("podman", "inspect", tag))[0]["Size"])
        self.facts[f"size of {torch}, uncompressed, with its base"] = f"{size / 1e9:.2f} GB"
        self.facts[f"torch in {torch}"] = _torch_of(shell, tag)
        port = _free_port()
        self.check(title, "no compiler, no git, no package lists of its own", lambda: checks.contents(shell, tag))
        name = f"{_NAME}-{torch}"
        try:
            container = start(shell, tag, name, port)
            self.check(title, "starts read-only, as a foreign user", lambda: f"ready in {container.wait_ready():.0f} s")
            if not self.results[-1].passed:
                print(container.log()[-6000:], flush=True)
                return
            self.check(title, "user and file system", lambda: checks.user(container))
            self.check(title, "health probe", lambda: checks.probe(container))
            for client, ask in CLIENTS.items():
                self.check(title, client, lambda ask=ask: ask(container.url, shell, folder))  # type: ignore[misc]
            self.check(title, "kill -9 of the gateway and of every runner", lambda: checks.killed_runners(container))
            self.check(title, "the log, faults included", lambda: checks.log_lines(container))
            self.check(title, "SIGTERM under load", lambda: checks.stopped_under_load(container))
            self.check(title, "the log, its end included", lambda: checks.log_lines(container))
        finally:
            (self.folder / f"{torch}.log").write_text(shell.read("podman", "logs", name))
            remove(shell, name)
        self.check(title, "memory runs out", lambda: checks.out_of_memory(shell, tag, port))
        self.check(title, "weights pulled into a volume", lambda: checks.pulled(shell, tag, port, folder))
        self.check(title, "a volume of root's", lambda: checks.foreign_volume(shell, tag, folder))
        self.check(title, "weights in the image", lambda: checks.baked(shell, tag, port, baked))


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy/verify-image", description=__doc__.split("\n")[0])
    parser.add_argument("--torch", nargs="+", choices=TORCHES, default=[PYPI, "cpu"], help="the images")
    parser.add_argument("--output", type=Path, default=_OUTPUT)
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir(), "looksee-verify.log"))
    parser.add_argument("--keep", action="store_true", help="keep the images, for a quick next run")
    options = parser.parse_args()
    if missing := [tool for tool in ("podman", "runc", "curl") if not shutil.which(tool)]:
        print(
            f"looksee: not installed: {', '.join(missing)}. On Debian: apt-get install {' '.join(missing)}.",
            file=sys.stderr,
        )
        return 2
    options.log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="looksee-verify-") as kept:
        folder = Path(kept)
        shell = Shell(options.log.absolute(), folder)
        folder.chmod(0o755)  # other users' containers read what is mounted from it
        run = Verification(shell, folder)
        stand_in = ensure_base(shell, folder, lambda text: print(text, flush=True), cuda_packages())
        run.facts |= _versions(shell)
        try:
            redis = ensure_redis(shell, folder / "redis")
            for torch in options.torch:
                start_redis(shell, redis)  # an empty one: answers of the image before would be taken for this one's
                run.image(torch, stand_in)
        finally:
            remove(shell, REDIS_NAME)
            if not options.keep:
                shell.ok("podman", "image", "rm", "--force", *(f"localhost/{_NAME}:{torch}" for torch in options.torch))
        when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
        commit = shell.read("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty").strip()
        options.output.write_text(page(when, commit, run.facts, _notes(stand_in), run.results))
    failed = [one for one in run.results if not one.passed]
    print(f"looksee: {len(run.results) - len(failed)} passed, {len(failed)} failed: {options.output}", flush=True)
    return 1 if failed else 0


def _versions(shell: Shell) -> dict[str, str]:
    found = {tool: shell.read(tool, "--version").split("\n")[0] for tool in _TOOLS if shutil.which(tool)}
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return {
        "machine": f"{system}, Linux {platform.release()}, {os.cpu_count()} cores",
        **found,
        "models": ", ".join(REGISTRY),
    }


def _notes(stand_in: bool) -> list[str]:
    notes = [
        "Sample weights; every container has a read-only root, no capabilities and a user that the image does not know."
    ]
    if stand_in:
        notes.append(f"No image registry was reached: a system of Debian's packages stood in for {BASE}.")
        if torch_wheel():
            notes.append(
                f"Every image has torch {torch_wheel()} of this machine, without the packages of CUDA: neither "
                "PyTorch's index nor a GPU was there. Hashes of packages were not checked for that reason."
            )
    return notes


def _torch_of(shell: Shell, tag: str) -> str:
    command = "import importlib.metadata as m; print(m.version('torch'), len(list(m.distributions())))"
    version, count = shell.run(*ONCE, "--network", "none", tag, "python", "-c", command).split()
    return f"{version}, of {count} packages"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    raise SystemExit(main())
