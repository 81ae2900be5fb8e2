"""What it means that an API server says no, and what to do about it."""

from __future__ import annotations

from kubeboot import errors
from kubeboot.kube import patience, words
from kubeboot.kube.api import ApiError, ApiRefused, ApiUnavailable
from kubeboot.kube.http import Response

_UNKNOWN = (
    "they have expired, or are another cluster's; `sudo kubeboot init` on a control plane makes its "
    "/etc/kubernetes/admin.conf again"
)
_FORBIDDEN = "run this on a control plane with sudo, or name an administrator's kubeconfig: --kubeconfig"
_BUSY = "run the same command again in a minute; `sudo kubeboot doctor` on a control plane tells why"
_ANOTHER = "check the address in the kubeconfig, and that no proxy answers in the server's place"


def refused(server: str, answer: Response) -> errors.KubebootError:
    """An answer with a status of 400 or above."""
    said = words.message(answer.body)
    if answer.status == 401:
        text = f"{server} does not accept these credentials (401)"
        return ApiRefused(text, status=401, hint=_UNKNOWN)
    if answer.status == 403:
        return ApiRefused(f"{server} does not allow this (403): {said}", status=403, hint=_FORBIDDEN)
    if answer.status in patience.BUSY:
        return ApiUnavailable(f"{server} is too busy to answer ({answer.status}): {said}", hint=_BUSY)
    return ApiError(f"the API server says: {said} ({answer.status})", status=answer.status)


def strange(server: str) -> ApiUnavailable:
    """What answers is no object of an API's."""
    return ApiUnavailable(f"{server} answers, but not as a Kubernetes API server does", hint=_ANOTHER)
