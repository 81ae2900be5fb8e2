"""What the cluster's API can be asked (ApiView) and told (Api). Objects are plain dictionaries.

Not found is None. An API that does not answer, or refuses the credentials, raises ApiUnavailable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kubeboot import errors

Object = Mapping[str, Any]
"""A Kubernetes object with apiVersion, kind and metadata."""

FIELD_MANAGER = "kubeboot"


class ApiUnavailable(errors.Unreachable):
    """The API server does not answer, or not to these credentials."""

    reason = "KB_API_UNAVAILABLE"


class ApiAway(ApiUnavailable):
    """Nobody listens, or the connection was cut; that may pass. `seen`: the request had been sent."""

    def __init__(self, message: str, *, seen: bool, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.seen = seen


class ApiRefused(ApiUnavailable):
    """The API server answers, but not to these credentials: 401, they are not known; 403, they may not."""

    reason = "KB_API_REFUSED"

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ApiError(errors.KubebootError):
    """The API server says no to a request, in its own words."""

    reason = "KB_API"

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ApiView(Protocol):
    """Read-only."""

    def ready(self) -> str | None:
        """None when GET /readyz answers ok, else what was seen. Never raises."""
        ...

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None: ...
    def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str | None = None
    ) -> Sequence[Object]: ...
    def dry_run(self, obj: Object) -> Object:
        """The object as a server-side apply of `obj` would leave it."""
        ...


class Api(ApiView, Protocol):
    """Adds the writes."""

    def apply(self, obj: Object) -> Object:
        """Server-side apply, field manager `kubeboot`, conflicts forced."""
        ...

    def create(self, obj: Object) -> Object: ...
    def patch_merge(
        self, api_version: str, kind: str, name: str, patch: Object, namespace: str | None = None
    ) -> Object: ...
    def delete(
        self, api_version: str, kind: str, name: str, namespace: str | None = None, *, now: bool = False
    ) -> bool:
        """False when it was not there. `now`: whoever runs a pod is not waited for."""
        ...

    def evict(self, name: str, namespace: str) -> str | None:
        """Ask for a pod's end; None when that is granted, or it has ended, else why it is not now."""
        ...


class NoApi:
    """A machine that has no API to talk to yet (a dry run on an empty machine, a host-only plan)."""

    def _none(self) -> ApiUnavailable:
        return ApiUnavailable("there is no API server to talk to yet")

    def ready(self) -> str | None:
        return "there is no API server to talk to yet"

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        raise self._none()

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str | None = None
    ) -> Sequence[Object]:
        raise self._none()

    def dry_run(self, obj: Object) -> Object:
        raise self._none()

    def apply(self, obj: Object) -> Object:
        raise self._none()

    def create(self, obj: Object) -> Object:
        raise self._none()

    def patch_merge(
        self, api_version: str, kind: str, name: str, patch: Object, namespace: str | None = None
    ) -> Object:
        raise self._none()

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str | None = None, *, now: bool = False
    ) -> bool:
        raise self._none()

    def evict(self, name: str, namespace: str) -> str | None:
        raise self._none()
