"""What other machines are told of where files are: nothing that somebody had to log in for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kubeboot.artifacts.credentials import Credentials
from kubeboot.artifacts.mirrors import Mirrors
from kubeboot.artifacts.registry import Registries
from kubeboot.artifacts.replies import Reply

HOST = "registry.example.org"
BLOB = f"https://{HOST}/v2/private/app/blobs/sha256:1"
SIGNED = "https://cdn.example.org/1?signature=x"
BEARER = f'Bearer realm="https://{HOST}/token",service="s"'


class Leads:
    """A registry that leads elsewhere whoever shows what it `wants`."""

    def __init__(self, wants: str) -> None:
        self.wants = wants

    @contextlib.contextmanager
    def open(
        self, url: str, headers: Mapping[str, str], method: str = "GET", body: object = None
    ) -> Iterator[Reply]:
        if "/token" in url:
            yield Reply(200, {}, url, iter((b'{"token": "t"}',)))
        elif self.wants and "Authorization" not in headers:
            yield Reply(401, {"www-authenticate": self.wants}, url, iter(()))
        else:
            yield Reply(200, {}, SIGNED, iter(()))


def place(wants: str, users: Mapping[str, str], url: str = BLOB) -> str | None:
    web: Any = Leads(wants)
    return Registries(web, Mirrors(), Credentials(users)).open_to_all(url)


@pytest.mark.parametrize("wants", ["", BEARER])
def test_where_everybody_is_led_is_handed_on(wants: str) -> None:
    assert place(wants, {}) == SIGNED


@pytest.mark.parametrize("wants", [BEARER, 'Basic realm="x"'])
def test_where_somebody_who_logged_in_is_led_is_not(wants: str) -> None:
    assert place(wants, {HOST: "user:hunter2"}) is None
