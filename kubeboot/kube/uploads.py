"""The Secret kubeadm-certs: what a new control plane needs, sealed with a key that the cluster never sees."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterable, Mapping

from kubeboot import errors
from kubeboot.kube import bootstrap, rbac
from kubeboot.kube.api import Api, ApiRefused, ApiView, Object
from kubeboot.pki import sealed, tokens

NAME = "kubeadm-certs"
TTL = datetime.timedelta(hours=2)
DESCRIPTION = "Proxy for managing TTL for the kubeadm-certs secret"
_AGAIN = "`kubeboot certs upload` on a control plane uploads them again and prints a new key"


def upload(api: Api, files: Mapping[str, bytes], key: str, clock: bootstrap.Clock = bootstrap.now) -> None:
    """Seal and store them for two hours: the Secret goes with the short-lived token that owns it."""
    for obj in rbac.reader("kubeadm:kubeadm-certs", "secrets", NAME, (rbac.TOKENS,)):
        api.apply(obj)
    token = bootstrap.Token(tokens.generate(), clock() + TTL, DESCRIPTION, usages=(), groups=())
    made = api.apply(bootstrap.encode(token))
    owner = {
        "apiVersion": "v1",
        "kind": "Secret",
        "name": made["metadata"]["name"],
        "uid": made["metadata"]["uid"],
        "blockOwnerDeletion": True,
        "controller": True,
    }
    api.delete("v1", "Secret", NAME, rbac.SYSTEM)
    api.apply(_secret(files, key, owner))


def _secret(files: Mapping[str, bytes], key: str, owner: Object) -> Object:
    sums = {_name(file): base64.b64encode(sealed.seal(data, key)).decode() for file, data in files.items()}
    meta = {"name": NAME, "namespace": rbac.SYSTEM, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": sums}


def _name(file: str) -> str:
    return file.replace("/", "-")


def download(api: ApiView, key: str, wanted: Iterable[str] = sealed.shared(False)) -> dict[str, bytes]:
    """The files of `sealed.shared`, by name, and how Secrets are encrypted if that was uploaded too."""
    try:
        found = api.get("v1", "Secret", NAME, rbac.SYSTEM)
    except ApiRefused:
        found = None
    if found is None:
        raise errors.Unreachable(
            "the cluster has no certificates for a new control plane: they stay there for two hours",
            hint=_AGAIN,
            reason="KB_NO_CERTIFICATES",
        )
    data = found.get("data") or {}
    files = {_name(file): file for file in wanted}
    missing = [name for name in files if name not in data]
    if missing:
        raise errors.KubebootError(
            f"Secret {rbac.SYSTEM}/{NAME} lacks {', '.join(missing)}",
            hint=_AGAIN,
            reason="KB_NO_CERTIFICATES",
        )
    own = {sealed.ENCRYPTION: sealed.ENCRYPTION} if sealed.ENCRYPTION in data else {}
    return {file: sealed.unseal(base64.b64decode(data[name]), key) for name, file in {**files, **own}.items()}
