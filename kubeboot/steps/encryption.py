"""The key by which API servers encrypt Secrets in etcd: made once, and the same on every control plane."""

from __future__ import annotations

import base64
import dataclasses
import secrets
from collections.abc import Mapping, Sequence

from kubeboot import errors, render
from kubeboot.config import effective
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Blocked, Check, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Secret, Values
from kubeboot.host.api import HostView
from kubeboot.pki import sealed
from kubeboot.steps import credentials, paths
from kubeboot.steps.static_pod import MANIFESTS

PATH = effective.ENCRYPTION
API_SERVER = f"{MANIFESTS}/kube-apiserver.yaml"
FLAG = "encryption-provider-config"
ID = "pki/encryption"
KEY = 32
"""Bytes, of secretbox (XSalsa20 and Poly1305)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureEncryption(Step):
    """The API server's EncryptionConfiguration, which is never replaced. `given`: the other control planes'.

    Once an API server has run it is not made: what is encrypted with a lost key is lost, and what one of
    several API servers encrypts alone the others cannot read.
    """

    given: Secret[bytes] | None = None

    def check(self, see: View, vals: Values) -> Check:
        found = see.host.read(PATH)
        if found is None:
            return self._none(see)
        if self.given is not None and found != self.given.reveal():
            return Blocked(
                "this machine has another key for Secrets than the cluster",
                hint="to move this machine into the cluster, run `kubeboot reset` on it first",
                reason="KB_OTHER_CLUSTER",
            )
        wrong = credentials.exposed(see, PATH, credentials.KEY_MODE)
        return Drift(wrong, "change") if wrong else Ok()

    def _none(self, see: View) -> Check:
        if self.given is not None:
            return Drift(f"install {PATH}")
        if see.host.stat(API_SERVER) is not None:
            return Blocked(
                f"there is no {PATH}, and this cluster already exists",
                hint="copy it from another control plane or a backup; whether Secrets are encrypted "
                "(apiServer.encryptSecrets) is decided when a cluster is made",
                reason="KB_PKI",
            )
        return Drift(f"create {PATH}")

    def undo(self, see: View) -> Sequence[Undo]:
        if see.host.stat(PATH) is None:
            return paths.undo(see, PATH)
        return credentials.mode_before(see, PATH, credentials.KEY_MODE)

    def apply(self, do: Target, vals: Values) -> None:
        if do.host.read(PATH) is None:
            data = configuration() if self.given is None else self.given.reveal()
            do.host.write(PATH, data, credentials.KEY_MODE)
        if credentials.exposed(do.see, PATH, credentials.KEY_MODE):
            do.host.chmod(PATH, credentials.KEY_MODE)


def configuration() -> bytes:
    """With a new key. What was written before it can still be read."""
    key = base64.b64encode(secrets.token_bytes(KEY)).decode()
    providers = [{"secretbox": {"keys": [{"name": "key1", "secret": key}]}}, {"identity": {}}]
    made = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
    return render.dump(made).encode()


def steps(
    spec: ClusterSpec, node: NodeSettings, given: Mapping[str, bytes] | None = None
) -> tuple[Step, ...]:
    """Where Secrets are encrypted: made on the first control plane, on the others as it was `given`."""
    if not spec.api_server.encrypt_secrets:
        return ()
    if given is None:
        return (EnsureEncryption(id=ID, title="Make the key for Secrets", on=node.name),)
    theirs = Secret(_among(given))
    return (EnsureEncryption(id=ID, title="Install the key for Secrets", on=node.name, given=theirs),)


def require_kept(see: HostView, spec: ClusterSpec) -> None:
    """ConfigInvalid where this machine's API server would be told no more how Secrets are encrypted."""
    told = any(argument.name == FLAG for argument in effective.api_server(spec).extra_args)
    if not told and f"--{FLAG}={PATH}".encode() in (see.read(API_SERVER) or b""):
        raise errors.ConfigInvalid(
            "Secrets of the cluster on this machine are encrypted in etcd, and its API server could read none"
            " of them without apiServer.encryptSecrets",
            hint="set `apiServer.encryptSecrets: true`, as when the cluster was made",
            reason="KB_IMMUTABLE",
        )


def _among(given: Mapping[str, bytes]) -> bytes:
    if sealed.ENCRYPTION not in given:
        raise errors.KubebootError(
            f"this cluster encrypts Secrets, and {sealed.ENCRYPTION} is not among what control planes share",
            hint="`kubeboot certs upload` on a control plane that has it",
            reason="KB_NO_CERTIFICATES",
        )
    return given[sealed.ENCRYPTION]
