"""Where a model's runners are: a list of addresses, in one form, and what is no address."""

from __future__ import annotations

import pytest

from looksee.models.registry import runner_urls


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("", []),
        (" ", []),
        ("http://gpu:3001", ["http://gpu:3001"]),
        ("http://a:3001,http://b:3001", ["http://a:3001", "http://b:3001"]),
        (" HTTPS://A.example/ , http://10.0.0.7:3001 ", ["https://a.example", "http://10.0.0.7:3001"]),
        ("http://[FD00::1]:3001", ["http://[fd00::1]:3001"]),
        ("http://a:80,https://a:443", ["http://a", "https://a"]),
    ],
)
def test_a_list_of_addresses(text: str, urls: list[str]) -> None:
    assert runner_urls.split(runner_urls.checked(text)) == urls


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpu:3001", "'gpu:3001' is no address"),
        ("tcp://gpu:3001", "is no address"),
        ("http://", "is no address"),
        ("http://a b:3001", "is no address"),
        ("http://a:3001;http://b:3001", "no valid host and port"),
        ("http://a:99999", "no valid host and port"),
        ("http://a:3001/blip", "more than scheme, host and port"),
        ("http://a:3001?key=1", "more than scheme, host and port"),
        ("http://a:3001,,http://b:3001", "is empty"),
        ("http://a:3001,", "is empty"),
        ("http://a:3001,HTTP://A:3001/", "http://a:3001 is there twice"),
    ],
)
def test_what_is_no_address_is_told_apart(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"address|twice") as caught:
        runner_urls.checked(text)
    assert said in str(caught.value)


def test_a_password_in_an_address_is_refused_and_not_quoted() -> None:
    with pytest.raises(ValueError, match="LOOKSEE_RUNNER_KEY") as caught:
        runner_urls.checked("http://user:s3cret@gpu:3001")
    assert "s3cret" not in str(caught.value)


def test_logs_and_metrics_name_a_runner_by_its_host_and_port() -> None:
    assert runner_urls.host("http://[fd00::1]:3001") == "[fd00::1]:3001"
    assert runner_urls.host("https://a.example") == "a.example"
