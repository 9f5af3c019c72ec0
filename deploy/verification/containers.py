"""Containers of the service, run as carefully as an operator may: nothing writable, no capability, another user."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

from deploy.verification.shell import CommandFailed, Shell

NETWORK: Final = "looksee-verify"
REDIS_NAME: Final = "looksee-verify-redis"
STRANGER: Final = "20123:20123"  # a user that the image does not know
_START_SECONDS = 300.0
_HARDENED = ["--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "all"]
_HARDENED += ["--security-opt", "no-new-privileges"]
# The limits of a sandbox's root may be lower than podman's defaults, which could then not be set.
_LIMITS = ["--ulimit", "nofile=8192:8192", "--ulimit", "nproc=8192:8192"]
# A command in a container of its own. Its health is nobody's concern, and probes need systemd's timers.
ONCE = ["podman", "--runtime", "runc", "run", "--rm", "--no-healthcheck", *_LIMITS]
_PIDS = """
import os, sys
for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        words = open(f'/proc/{pid}/cmdline').read().split(chr(0))
    except OSError:
        continue
    if '--service-name' in words:
        print(pid, words[words.index('--service-name') + 1])
"""


@dataclass
class ServiceContainer:
    """A running container and its address."""

    shell: Shell
    name: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_ready(self) -> float:
        """Seconds until /readyz says so. Raises CommandFailed with the end of the log if it never does."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < _START_SECONDS:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                    return passed
            except (urllib.error.URLError, OSError):
                if self.state()["Status"] not in ("running", "created", "initialized"):
                    break
                time.sleep(0.25)
        raise CommandFailed(f"{self.name} is not ready after {passed:.0f} s: {self.log()[-1500:]}")

    def log(self) -> str:
        return self.shell.read("podman", "logs", self.name)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.shell.run("podman", "inspect", self.name))[0]["State"]
        return found

    def execute(self, *command: str, timeout: float = 60) -> str:
        return self.shell.run("podman", "--runtime", "runc", "exec", self.name, *command, timeout=timeout)

    def processes(self) -> dict[str, int]:
        """The ids, in the container, of the runners' processes, by their services' names."""
        lines = self.execute("python", "-c", _PIDS).split("\n")
        return {name: int(pid) for pid, _, name in (line.partition(" ") for line in lines if line)}

    def kill(self, pids: list[int]) -> None:
        """SIGKILL to processes of the container."""
        self.execute("python", "-c", f"import os\nfor pid in {pids}: os.kill(pid, 9)")

    def oom_kills(self) -> int:
        """Processes of the container that the kernel has killed for its memory limit."""
        for file in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
            text = self.shell.read("podman", "--runtime", "runc", "exec", self.name, "cat", file)
            for line in text.splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
        raise CommandFailed("the memory limit's figures are not to be found in the container")


def start(
    shell: Shell, image: str, name: str, port: int, *, options: tuple[str, ...] = (), **settings: str
) -> ServiceContainer:
    """Start the image with `settings` as environment, beside the Redis."""
    shell.ok("podman", "rm", "--force", "--time", "1", name)
    environment = {"LOOKSEE_WEIGHTS": "sample", "REDIS_HOST": REDIS_NAME, "MODEL_CAPACITY": "0"} | settings
    pairs = [word for key, value in environment.items() for word in ("--env", f"{key}={value}")]
    command = ["podman", "--runtime", "runc", "run", "--detach", "--name", name, *_LIMITS, *_HARDENED, *options]
    shell.run(*command, "--user", STRANGER, "--network", NETWORK, "--publish", f"127.0.0.1:{port}:3000", *pairs, image)
    return ServiceContainer(shell, name, port)


def start_redis(shell: Shell, image: str) -> None:
    if not shell.ok("podman", "network", "exists", NETWORK):
        shell.run("podman", "network", "create", NETWORK)
    shell.ok("podman", "rm", "--force", "--time", "1", REDIS_NAME)
    command = ["podman", "--runtime", "runc", "run", "--detach", "--name", REDIS_NAME, *_LIMITS, "--network", NETWORK]
    words = ["redis-server", "--save", "", "--appendonly", "no", "--protected-mode", "no", "--bind", "0.0.0.0"]
    shell.run(*command, image, *words, "--maxmemory", "128mb", "--maxmemory-policy", "allkeys-lru")


def remove(shell: Shell, *names: str) -> None:
    for name in names:
        shell.ok("podman", "rm", "--force", "--time", "1", "--volumes", name)
