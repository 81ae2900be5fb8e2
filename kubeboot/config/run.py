"""What a configuration file may say about one run rather than about the cluster (kubeadm's files do)."""

from __future__ import annotations

import dataclasses
import datetime


@dataclasses.dataclass(frozen=True)
class Hidden:
    """A secret on its way from a file to the command that wants it; repr is `***`."""

    value: str

    def __repr__(self) -> str:
        return "***"


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """None or empty where the files said nothing. `token_ttl` zero means that the token does not expire."""

    token: Hidden | None = None
    token_ttl: datetime.timedelta | None = None
    skip_phases: tuple[str, ...] = ()
    ignore_preflight_errors: tuple[str, ...] = ()
    dry_run: bool = False
    endpoint: str | None = None
    ca_pins: tuple[str, ...] = ()
    control_plane: bool = False
    certificate_key: Hidden | None = None

    def over(self, lower: RunSettings) -> RunSettings:
        """These settings, and the lower ones where these say nothing; what is to be left out adds up."""
        mine = {f.name: getattr(self, f.name) or getattr(lower, f.name) for f in dataclasses.fields(self)}
        for name in ("skip_phases", "ignore_preflight_errors"):
            mine[name] = tuple(dict.fromkeys((*getattr(lower, name), *getattr(self, name))))
        mine["token_ttl"] = lower.token_ttl if self.token_ttl is None else self.token_ttl
        return RunSettings(**mine)
