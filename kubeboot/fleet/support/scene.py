"""What the sources of a support file may ask, and what they give."""

from __future__ import annotations

import dataclasses
import datetime

from kubeboot.host.api import HostView
from kubeboot.kube.api import ApiView


@dataclasses.dataclass(frozen=True)
class Scene:
    """What the sources may ask."""

    see: HostView
    api: ApiView
    at: datetime.datetime


Part = tuple[str, str]
"""A name in the file, and its text."""
