"""A stand-in for the published base image, made of Debian packages, for a machine that reaches no image registry.

It has the same Python and the same Debian release. This machine's certificates, package sources and wheels are in it:
it is for trying, and must not leave the machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deploy.image.definition import BASE
from deploy.verification.shell import Shell

WHEELS: Final = Path("/opt/wheels")  # where a build of torch for CPUs may lie
REDIS: Final = "localhost/looksee-verify-redis:latest"
PUBLISHED_REDIS: Final = "docker.io/library/redis:8.2-alpine"

_PACKAGES = "ca-certificates,python3,python3-pip,python3-venv"
_CONTAINERFILE = """\
FROM scratch
ADD rootfs.tar /
RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED && ln -sf python3 /usr/bin/python
COPY certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY overrides.txt /etc/uv/overrides.txt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
"""
# Settings of uv for the stand-in alone: the index of PyTorch is out of reach, and hashes are those of PyPI's torch.
_LOCAL_TORCH = (
    "ENV UV_NO_CONFIG=1 UV_NO_CACHE=1 UV_NO_VERIFY_HASHES=1 UV_FIND_LINKS={wheels} UV_OVERRIDE=/etc/uv/overrides.txt\n"
)
_REDIS = """\
FROM {base}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server
CMD ["redis-server"]
"""


def torch_wheel() -> str | None:
    """The version of a wheel of torch for CPUs on this machine, or None."""
    found = sorted(WHEELS.glob("torch-*+cpu-cp311-*.whl"))
    return found[-1].name.split("-")[1] if found else None


def ensure_base(shell: Shell, folder: Path, tell: Callable[[str], None], cuda: list[str]) -> bool:
    """Have the base image here: pulled, or made if it cannot be; returns whether it is the stand-in.

    `cuda`: the packages of CUDA that the lock names, which the stand-in leaves out with PyPI's torch.
    """
    if shell.ok("podman", "image", "exists", BASE):
        labels = shell.read("podman", "image", "inspect", "--format", '{{index .Labels "looksee.stand-in"}}', BASE)
        return labels.strip() == "true"
    if shell.ok("podman", "pull", "--quiet", BASE, timeout=300):
        return False
    tell("no registry is reached: the base is made of Debian packages")
    root = folder / "rootfs"
    shell.run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root), timeout=1200)
    make_base(shell, folder, root, cuda)
    return True


def make_base(shell: Shell, folder: Path, root: Path, cuda: list[str]) -> None:
    """Make the stand-in of an unpacked system at `root`."""
    shell.run(
        "tar", "-C", str(root), "-cf", str(folder / "rootfs.tar"), "--exclude=./var/cache/apt/archives/*.deb", "."
    )
    shutil.rmtree(root)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", folder / "certificates.crt")
    version = torch_wheel()
    overrides = [f"torch=={version}", *(f"{name} ; sys_platform == 'never'" for name in cuda)] if version else []
    (folder / "overrides.txt").write_text("\n".join(overrides) + "\n")
    text = _CONTAINERFILE + (_LOCAL_TORCH.format(wheels=WHEELS) if version else "") + 'LABEL looksee.stand-in="true"\n'
    (folder / "Containerfile").write_text(text)
    shell.run("podman", "build", "--isolation", "chroot", "--format", "docker", "--tag", BASE, str(folder), timeout=600)
    (folder / "rootfs.tar").unlink()


def ensure_redis(shell: Shell, folder: Path) -> str:
    """An image with a Redis: the published one, or one made of Debian's package."""
    if shell.ok("podman", "image", "exists", REDIS):
        return REDIS
    if shell.ok("podman", "pull", "--quiet", PUBLISHED_REDIS, timeout=300):
        return PUBLISHED_REDIS
    folder.mkdir(exist_ok=True)
    (folder / "Containerfile").write_text(_REDIS.format(base=BASE))
    shell.run("podman", "build", "--isolation", "chroot", "--tag", REDIS, str(folder), timeout=600)
    return REDIS
