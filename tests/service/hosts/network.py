"""Hosts of one network, as network namespaces of this machine: each has an address, and may be cut off."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

_NETWORK = "198.18"  # for tests of networks (RFC 2544): nothing else has such an address


class HostNetwork:
    """Hosts by name. This process is one of them, at another address of theirs."""

    def __init__(self, *names: str) -> None:
        self._prefix = f"lk{os.getpid() % 100_000}"
        self._subnet = f"{_NETWORK}.{os.getpid() % 256}"
        self._numbers = {name: number for number, name in enumerate(names, 2)}

    def address(self, name: str) -> str:
        return f"{self._subnet}.{self._numbers[name]}"

    def on(self, name: str, *command: str) -> tuple[str, ...]:
        """The command, to be run on that host. Its process is the command's own."""
        return ("ip", "netns", "exec", f"{self._prefix}-{name}", *command)

    def cut_off(self, name: str) -> None:
        """From now on no packet comes from the host or reaches it, and nobody is told."""
        self._ip("-n", self._switch, "link", "set", self._port(name), "down")

    def reconnect(self, name: str) -> None:
        self._ip("-n", self._switch, "link", "set", self._port(name), "up")

    @contextlib.contextmanager
    def up(self) -> Iterator[HostNetwork]:
        """Make the hosts and the switch between them, and remove them afterwards."""
        with contextlib.ExitStack() as stack:
            self._add(stack, self._switch)
            self._ip("-n", self._switch, "link", "add", "switch", "type", "bridge")
            self._ip("-n", self._switch, "link", "set", "switch", "up")
            for name in self._numbers:
                own = f"{self._prefix}-{name}"
                self._add(stack, own)
                self._plug_in(name, f"{self.address(name)}/24", "-n", own)
                self._ip("-n", own, "link", "set", "lo", "up")
            self._plug_in("tests", f"{self._subnet}.1/24")  # its end here is removed with the other one
            yield self

    @property
    def _switch(self) -> str:
        return f"{self._prefix}-switch"

    def _port(self, name: str) -> str:
        return f"to-{name}"

    def _plug_in(self, name: str, address: str, *where: str) -> None:
        link = "eth0" if where else self._prefix
        end = ("peer", "name", self._port(name), "netns", self._switch)
        self._ip(*where, "link", "add", link, "type", "veth", *end)
        self._ip(*where, "address", "add", address, "dev", link)
        self._ip(*where, "link", "set", link, "up")
        self._ip("-n", self._switch, "link", "set", self._port(name), "master", "switch", "up")

    def _add(self, stack: contextlib.ExitStack, namespace: str) -> None:
        self._ip("netns", "add", namespace)
        stack.callback(self._ip, "netns", "delete", namespace)

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(("ip", *words), check=True, capture_output=True)


def missing() -> str:
    """Why this machine can have no such hosts; empty where it can."""
    if shutil.which("ip") is None:
        return "there is no `ip` (iproute2)"
    try:
        with HostNetwork("probe").up():
            return ""
    except subprocess.CalledProcessError as error:
        words = " ".join(error.cmd)
        return f"this user may not make network namespaces: {words}: {error.stderr.decode().strip()}"
