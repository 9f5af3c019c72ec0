"""Which web addresses pictures may be fetched from: which URL, which host, which network address.

Whoever sends an address makes this machine connect somewhere. So a host must be allowed by name, an URL is read by one
strict rule that leaves nothing for another parser to understand differently, and what the name resolves to must be
public, or lie in a network that was named beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import urljoin

from looksee.core import errors

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

# All IPv4 addresses but these are public, and of IPv6 those of 2000::/3 but these: whatever embeds an IPv4 address
# (mapped, NAT64, 6to4, Teredo) or was never given out is not. Sources: iana-ipv4-special-registry and
# iana-ipv6-special-registry at iana.org. Python's own `is_global` differs from release to release.
_NOT_PUBLIC = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, and a cloud's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's own services, as its machines see them
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, and a cloud's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
]
_GIVEN_OUT = ip_network("2000::/3")

# What may be named as the network of a picture store, and what is never reached even there: clouds' metadata.
_PRIVATE = [
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
]
_METADATA = [ip_network(text) for text in ("100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128")]

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}")
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")  # 127.1, 0x7f000001: resolvers read a last number as IPv4
_RULE = re.compile(r"(?P<name>\*|(?:\*\.)?[^*:]+)(?::(?P<port>[0-9]{1,5}))?")
_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")  # RFC 3986, section 2
_URL = re.compile(r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?#].*)?", re.I)
_SCHEME = re.compile(r"\s{0,16}(?!data:)[a-z][a-z0-9+.-]{0,30}:", re.IGNORECASE)
_PORTS = {"https": 443, "http": 80}
_LONGEST = 4096  # characters of an URL: signed ones of object stores are long


def is_address(text: str) -> bool:
    """Whether a picture's text is not the picture but its address: it has a scheme, and not that of a data URI."""
    return _SCHEME.match(text) is not None


def is_public(ip: IpAddress) -> bool:
    """Whether this is an ordinary address of the internet."""
    if isinstance(ip, IPv6Address) and (ip.scope_id or ip not in _GIVEN_OUT):
        return False
    return not any(ip in network for network in _NOT_PUBLIC)


@dataclass(frozen=True, slots=True)
class Address:
    """An URL that may be fetched, in parts. `named`: by a rule that says whose host it is, which `*` does not."""

    scheme: str
    host: str
    port: int
    target: str  # path and query
    named: bool

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}{self.target}"

    def redirected(self, location: str) -> Address | None:
        """Where a redirect to `location` leads; None where that is another host, port or scheme, or no address."""
        if len(location) > _LONGEST or not _CHARACTERS.fullmatch(location):
            return None
        try:
            parts = _parts(urljoin(self.url, location))
        except ValueError:  # brackets that hold no IPv6 address
            return None
        if parts is None or parts[:3] != (self.scheme, self.host, self.port):
            return None
        return replace(self, target=parts[3])


@dataclass(frozen=True, slots=True)
class HostRule:
    """A host, the hosts below one (`*.example.org`), or any (`*`); on one port, or on those of https and http."""

    name: str
    port: int | None

    def covers(self, scheme: str, host: str, port: int) -> bool:
        if port != (self.port or _PORTS[scheme]):
            return False
        return self.name in ("*", host) or (self.name.startswith("*.") and host.endswith(self.name[1:]))


@dataclass(frozen=True, slots=True)
class Allowlist:
    """What LOOKSEE_IMAGE_URL_HOSTS and LOOKSEE_IMAGE_URL_NETWORKS say."""

    hosts: tuple[HostRule, ...]
    networks: tuple[IpNetwork, ...]

    @classmethod
    def parse(cls, hosts: str, networks: str) -> Allowlist:
        """Both are comma separated. Raises ValueError with a sentence about the entry that is wrong."""
        return cls(tuple(map(_rule, _entries(hosts))), tuple(map(_network, _entries(networks))))

    def admit(self, url: str, *, param: str) -> Address:
        """The address that `url` is. Looks at its text alone. Raises ImageUrlNotAllowed."""
        if not self.hosts:
            raise errors.ImageUrlNotAllowed(
                "Pictures are not fetched from addresses here: send the picture itself, in base64 or as a data URI; or "
                "have its host named in LOOKSEE_IMAGE_URL_HOSTS.",
                param=param,
            )
        parts = _parts(url)
        if parts is None:
            raise errors.ImageUrlNotAllowed(
                "A picture's address must be https:// and a host's plain name (no user, no number for a host, nothing "
                f"that is not ASCII), and at most {_LONGEST} characters long.",
                param=param,
            )
        scheme, host, port, target = parts
        rules = [rule for rule in self.hosts if rule.covers(scheme, host, port)]
        if not rules:
            raise errors.ImageUrlNotAllowed(
                f"Pictures are not fetched from {host}, port {port}: LOOKSEE_IMAGE_URL_HOSTS does not name it.",
                param=param,
            )
        named = any(rule.name != "*" for rule in rules)
        if scheme == "http" and not (named and self.networks):
            raise errors.ImageUrlNotAllowed(
                "A picture's address must begin with https://; http:// is for hosts in LOOKSEE_IMAGE_URL_NETWORKS.",
                param=param,
            )
        return Address(scheme, host, port, target, named)

    def reaches(self, address: Address, found: Iterable[IpAddress]) -> bool:
        """Whether all that a host's name resolved to may be connected to; no for nothing at all."""
        ips = list(found)
        return bool(ips) and all(self._reaches(address, ip) for ip in ips)

    def _reaches(self, address: Address, ip: IpAddress) -> bool:
        if address.named and any(ip in network for network in self.networks):
            return not any(ip in network for network in _METADATA)
        return address.scheme == "https" and is_public(ip)


def _parts(url: str) -> tuple[str, str, int, str] | None:
    """Scheme, host, port, and path with query; None for anything but a plain URL of http or https."""
    if len(url) > _LONGEST or not _CHARACTERS.fullmatch(url):
        return None
    found = _URL.fullmatch(url)
    if found is None:
        return None
    scheme, host = found["scheme"].lower(), found["host"].lower()
    port = int(found["port"] or _PORTS[scheme])
    if not _is_name(host) or not 0 < port < 65536:
        return None
    target = (found["rest"] or "").partition("#")[0]
    return scheme, host, port, target if target.startswith("/") else f"/{target}"


def _is_name(host: str) -> bool:
    return bool(_NAME.fullmatch(host)) and not _NUMBER.fullmatch(host)


def _entries(text: str) -> list[str]:
    return [entry for entry in map(str.strip, text.split(",")) if entry]


def _rule(entry: str) -> HostRule:
    found = _RULE.fullmatch(entry.lower())
    if found is None or not (found["name"] == "*" or _is_name(found["name"].removeprefix("*."))):
        raise ValueError(
            f"'{entry}' is no host: write a name as example.org, *.example.org, or *; no scheme, no number"
        )
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"'{entry}' has no port from 1 to 65535")
    return HostRule(found["name"], port)


def _network(entry: str) -> IpNetwork:
    try:
        network = ip_network(entry)
    except ValueError as error:
        raise ValueError(f"'{entry}' is no network: write one as 10.1.0.0/16") from error
    if not any(_lies_in(network, private) for private in _PRIVATE):
        raise ValueError(f"'{entry}' is no private network; public addresses need no naming")
    return network


def _lies_in(network: IpNetwork, other: IpNetwork) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(other, IPv4Network) and network.subnet_of(other)
    return isinstance(other, IPv6Network) and network.subnet_of(other)
