"""Tokens as people and machines read them."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from kubeboot.cli import screens

if TYPE_CHECKING:
    from kubeboot.fleet.orders_cluster import Token, TokenCreateResult


def created(result: TokenCreateResult) -> dict[str, Any]:
    """A new token for machines, whole."""
    return {
        "token": result.token.reveal(),
        "expires": screens.stamp(result.expires),
        "joinCommand": result.join_command.reveal() if result.join_command else None,
    }


def listed(found: Token) -> dict[str, Any]:
    """A token for machines, without its secret."""
    return {
        "id": found.id,
        "expires": screens.stamp(found.expires),
        "usages": list(found.usages),
        "description": found.description,
        "groups": list(found.groups),
    }


def table(found: tuple[Token, ...]) -> str:
    """Tokens for people, without their secrets; nothing when there are none."""
    now = datetime.datetime.now(datetime.UTC)
    rows = [(t.id, _left(t, now), ",".join(t.usages), t.description) for t in found]
    return screens.table(("ID", "EXPIRES IN", "USAGES", "DESCRIPTION"), rows) if rows else ""


def _left(found: Token, now: datetime.datetime) -> str:
    from kubeboot.config import durations

    if found.expires is None:
        return "never"
    return durations.words(found.expires - now) if found.expires > now else "expired"
