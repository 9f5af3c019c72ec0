"""Which addresses pictures may be fetched from: by the URL's text, by the host's name, by what the name resolves to."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from looksee.core import errors
from looksee.core.addresses import Address, Allowlist, is_address, is_public

ANY = Allowlist.parse("*, *:8443", "")
SHOP = Allowlist.parse("pictures.example.org, *.cdn.example.org, store:9000", "10.1.0.0/16, fd12::/32")

# Each would be harmful to some reader of URLs; none of them may be one for us, even where every host is allowed.
HOSTILE = [
    "http://example.org/a.png",
    "ftp://example.org/a.png",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "dict://127.0.0.1:6379/info",
    "javascript:alert(1)",
    "https:example.org/a.png",
    "https:/example.org/a.png",
    "https:///example.org/a.png",
    "https://",
    "https://?a",
    # numbers, however they are written
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://0/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://0x7f000001/",
    "https://0X7F.0.0.1/",
    "https://0x/",
    "https://127.0.0.0x1/",
    "https://example.127/",
    "https://8.8.8.8/",
    "https://169.254.169.254/latest/meta-data/",
    "https://0.0.0.0/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[0:0:0:0:0:ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[fd00::1]/",
    "https://[v1.example]/",
    "https://::1/",
    # who is whose user
    "https://example.org@127.0.0.1/",
    "https://user:password@example.org/",
    "https://example.org:443@127.0.0.1/",
    "https://@example.org/",
    "https://127.0.0.1#@example.org/",
    "https://127.0.0.1?@example.org/",
    # what some readers drop, turn round or translate
    "https://example.org\\@127.0.0.1/",
    "https:\\\\example.org\\a.png",
    "https://127.0.0.1\\.example.org/",
    "https://exam\tple.org/",
    "https://example.org/a\n.png",
    "https://example.org/\r\nHost: 127.0.0.1",
    " https://example.org/",
    "https://example.org/ ",
    "https://example.org/\x00",
    "\u3000https://example.org/",
    "https://exam\u00adple.org/",
    "https://\u2460\u2461\u2466.0.0.1/",
    "https://127\u30020\u30020\u30021/",
    "https://127\uff0e0\uff0e0\uff0e1/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "https://\u0661\u0662\u0667.0.0.1/",
    "https://b\u00fccher.example/",
    "https://\u212aelvin.example/",
    "http\u017f://example.org/",
    "https://%6c%6f%63%61%6c%68%6f%73%74/",
    "https://localhost%00.example.org/",
    "https://example.org%2f@127.0.0.1/",
    "https://example.org/\u00e4.png",
    "https://example.org/\ud800",
    # names that are none
    "https://example.org./",
    "https://example..org/",
    "https://.example.org/",
    "https://-example.org/",
    "https://" + "a" * 64 + ".org/",
    "https://" + "a." * 127 + "org/",
    # ports
    "https://example.org:80/",
    "https://example.org:22/",
    "https://example.org:0/",
    "https://example.org:65979/",  # 443 in sixteen bits
    "https://example.org:+443/",
    "https://example.org:/",
    "https://example.org:443:8443/",
    "https://example.org/" + "a" * 4096,
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_not_read_whatever_hosts_are_allowed(url: str) -> None:
    with pytest.raises(errors.ImageUrlNotAllowed) as caught:
        ANY.admit(url, param="images.3")
    assert caught.value.param == "images.3"
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://example.org/a.png", "example.org", 443, "/a.png"),
        ("HTTPS://Example.ORG/A.png?b=%20&c=d/e?f", "example.org", 443, "/A.png?b=%20&c=d/e?f"),
        ("https://example.org", "example.org", 443, "/"),
        ("https://example.org#part", "example.org", 443, "/"),
        ("https://example.org?a=1#part", "example.org", 443, "/?a=1"),
        ("https://example.org:443/", "example.org", 443, "/"),
        ("https://example.org:8443/@x:y", "example.org", 8443, "/@x:y"),
        ("https://xn--bcher-kva.example/../a//b", "xn--bcher-kva.example", 443, "/../a//b"),
        ("https://my_bucket.127.org/", "my_bucket.127.org", 443, "/"),
        ("https://localhost/", "localhost", 443, "/"),  # a name as others: what it resolves to decides
    ],
)
def test_a_plain_url_is_read(url: str, host: str, port: int, target: str) -> None:
    assert ANY.admit(url, param="image") == Address("https", host, port, target, named=False)


def test_without_hosts_nothing_is_allowed_and_the_error_says_what_to_do() -> None:
    with pytest.raises(errors.ImageUrlNotAllowed) as caught:
        Allowlist.parse("", "10.0.0.0/8").admit("https://example.org/a.png", param="image")
    assert caught.value.param == "image"
    assert "LOOKSEE_IMAGE_URL_HOSTS" in caught.value.message
    assert "base64" in caught.value.message


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://pictures.example.org/", True),
        ("https://PICTURES.example.org/", True),
        ("http://pictures.example.org/", True),  # as far as its text goes
        ("https://pictures.example.org:8443/", False),
        ("http://pictures.example.org:443/", False),
        ("https://example.org/", False),
        ("https://a.pictures.example.org/", False),
        ("https://pictures.example.org.evil.test/", False),
        ("https://evilpictures.example.org/", False),
        ("https://a.cdn.example.org/", True),
        ("https://a.b.cdn.example.org/", True),
        ("https://cdn.example.org/", False),
        ("https://evilcdn.example.org/", False),
        ("http://store:9000/a.png", True),
        ("https://store:9000/a.png", True),
        ("https://store/a.png", False),
        ("http://store/a.png", False),
    ],
)
def test_hosts_are_allowed_by_name_and_port(url: str, allowed: bool) -> None:
    if allowed:
        assert SHOP.admit(url, param="image").named
    else:
        with pytest.raises(errors.ImageUrlNotAllowed):
            SHOP.admit(url, param="image")


def test_plain_http_is_for_named_hosts_where_networks_are_named() -> None:
    for hosts, networks in (("example.org", ""), ("*", "10.0.0.0/8")):
        with pytest.raises(errors.ImageUrlNotAllowed, match="https"):
            Allowlist.parse(hosts, networks).admit("http://example.org/", param="image")
    assert Allowlist.parse("*, example.org", "10.0.0.0/8").admit("http://example.org/", param="image").named


PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "100.63.255.255", "100.128.0.0", "172.32.0.1", "223.255.255.255"]
PUBLIC += ["169.253.1.1", "192.0.1.1", "198.20.0.1", "2606:4700::1111", "2a00:1450:4001::200e", "2001:4860:4860::8888"]
PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fdff::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700::1111%eth0",
]


@pytest.mark.parametrize("ip", PUBLIC)
def test_the_internet_is_public(ip: str) -> None:
    assert is_public(ip_address(ip))


@pytest.mark.parametrize("ip", PRIVATE)
def test_what_is_not_the_internet_is_not_public(ip: str) -> None:
    assert not is_public(ip_address(ip))


def reaches(allowlist: Allowlist, url: str, *found: str) -> bool:
    return allowlist.reaches(allowlist.admit(url, param="image"), map(ip_address, found))


@pytest.mark.parametrize("ip", PRIVATE)
def test_one_private_address_among_public_ones_is_too_many(ip: str) -> None:
    assert reaches(ANY, "https://example.org/", *PUBLIC)
    assert not reaches(ANY, "https://example.org/", ip)
    assert not reaches(ANY, "https://example.org/", *PUBLIC, ip)
    assert not reaches(ANY, "https://example.org/", ip, *PUBLIC)


def test_a_name_without_addresses_is_not_reached() -> None:
    assert not reaches(ANY, "https://example.org/")


@pytest.mark.parametrize(
    ("scheme", "ip", "reached"),
    [
        ("http", "10.1.2.3", True),
        ("https", "10.1.2.3", True),
        ("http", "fd12::7", True),
        ("http", "10.2.0.1", False),
        ("https", "10.2.0.1", False),
        ("https", "127.0.0.1", False),
        ("https", "::ffff:10.1.2.3", False),
        ("https", "8.8.8.8", True),
        ("http", "8.8.8.8", False),
    ],
)
def test_a_named_host_may_lie_in_a_named_network(scheme: str, ip: str, reached: bool) -> None:
    assert reaches(SHOP, f"{scheme}://store:9000/", ip) is reached
    assert not reaches(SHOP, f"{scheme}://store:9000/", ip, "192.168.0.1")


def test_a_host_that_nobody_named_may_not() -> None:
    mixed = Allowlist.parse("*, *.example.org", "10.0.0.0/8")
    assert not reaches(mixed, "https://rebound.test/", "10.1.2.3")
    assert reaches(mixed, "https://pictures.example.org/", "10.1.2.3")


@pytest.mark.parametrize(
    ("networks", "ip"),
    [("100.64.0.0/10", "100.100.100.200"), ("fc00::/7", "fd00:ec2::254"), ("fd20:ce::254/128", "fd20:ce::254")],
)
def test_a_clouds_metadata_is_out_of_reach_in_any_network(networks: str, ip: str) -> None:
    allowlist = Allowlist.parse("metadata.test", networks)
    assert not reaches(allowlist, "http://metadata.test/", ip)
    assert not reaches(allowlist, "https://metadata.test/", ip)


START = ANY.admit("https://example.org:8443/a/b.png?x=1", param="image")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/c.png", "/c.png"),
        ("c.png", "/a/c.png"),
        ("?y=2", "/a/b.png?y=2"),
        ("https://example.org:8443/c.png#d", "/c.png"),
        ("HTTPS://EXAMPLE.org:8443", "/"),
        ("//example.org:8443/c.png", "/c.png"),
        ("", "/a/b.png?x=1"),
    ],
)
def test_a_redirect_within_the_host_is_followed(location: str, target: str) -> None:
    found = START.redirected(location)
    assert found == Address("https", "example.org", 8443, target, named=False)


@pytest.mark.parametrize(
    "location",
    [
        "http://example.org:8443/c.png",
        "https://example.org/c.png",
        "https://example.org:443/c.png",
        "https://www.example.org:8443/c.png",
        "https://127.0.0.1:8443/c.png",
        "https://[::1]:8443/c.png",
        "//evil.test:8443/",
        "//evil.test\\@example.org:8443/",
        "https://example.org:8443@evil.test/",
        "https://user@example.org:8443/",
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        "gopher://example.org:8443/",
        "https://[",
        "/a\tb",
        "/\u00e4",
        "\udcff",
        "/" + "a" * 4096,
    ],
)
def test_a_redirect_to_anywhere_else_is_not(location: str) -> None:
    assert START.redirected(location) is None


@pytest.mark.parametrize("text", ["https://example.org/a.png", "FILE:///a", "\n http://a", "gopher:x", "c:\\a.png"])
def test_a_text_with_a_scheme_is_an_address(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text", ["", "iVBORw0KGgo", "data:image/png;base64,AAAA", "Data:,", " data:,", "//8=", "a b:", "A" * 40 + ":"]
)
def test_any_other_text_is_not(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize(
    "hosts",
    [
        "https://example.org",
        "example.org/path",
        "10.0.0.1",
        "0x7f000001",
        "[::1]",
        "::1",
        "*.",
        "**",
        "a.*.org",
        "*example.org",
        "b\u00fccher.example",
        "user@example.org",
        "example.org:0",
        "example.org:65536",
        "example.org:",
        "example.org.",
        "example.org evil.test",
    ],
)
def test_a_rule_that_is_none_is_named(hosts: str) -> None:
    with pytest.raises(ValueError, match=r"no host|no port") as caught:
        Allowlist.parse(f"good.example, {hosts}", "")
    assert f"'{hosts}'" in str(caught.value)


@pytest.mark.parametrize(
    "networks",
    [
        "8.8.8.0/24",
        "0.0.0.0/0",
        "::/0",
        "169.254.0.0/16",
        "10.0.0.1/8",
        "224.0.0.0/4",
        "10.0.0.0/7",
        "64:ff9b::/96",
        "x",
    ],
)
def test_a_network_that_is_not_private_is_named(networks: str) -> None:
    with pytest.raises(ValueError, match=r"no network|no private network") as caught:
        Allowlist.parse("", f"10.0.0.0/8,{networks}")
    assert f"'{networks}'" in str(caught.value)


def test_blanks_and_empty_entries_do_not_matter() -> None:
    assert Allowlist.parse(" , Example.ORG ,", " 10.0.0.0/8 ,") == Allowlist.parse("example.org", "10.0.0.0/8")
    assert not Allowlist.parse(" , ", "").hosts
