"""How upstream is reached, and where what it gives is kept."""

from __future__ import annotations

import dataclasses

from kubeboot.artifacts.cache import Cache
from kubeboot.artifacts.credentials import Credentials
from kubeboot.artifacts.download import Watch
from kubeboot.artifacts.known import Known, UserLock
from kubeboot.artifacts.mirrors import Mirrors
from kubeboot.artifacts.patience import Patience
from kubeboot.artifacts.web import Web


@dataclasses.dataclass(frozen=True)
class Ways:
    """How upstream is reached, and where what it gives is kept."""

    web: Web
    cache: Cache
    lock: UserLock
    shipped: Known = dataclasses.field(default_factory=Known)
    mirrors: Mirrors = dataclasses.field(default_factory=Mirrors)
    credentials: Credentials = dataclasses.field(default_factory=Credentials)
    watch: Watch = dataclasses.field(default_factory=Watch)
    patience: Patience = dataclasses.field(default_factory=Patience)
