"""What control planes share: the files, the Secret by which they travel, and who one is with them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager

from kubeboot import errors
from kubeboot.config.components import ExternalEtcd
from kubeboot.engine.values import Secret
from kubeboot.host import looks
from kubeboot.host.api import HostView
from kubeboot.kube import client, dial, etcd_client, lease, uploads
from kubeboot.kube.api import Api, ApiView
from kubeboot.kube.tls import Endpoint
from kubeboot.pki import build, pem, sealed, table
from kubeboot.steps import shared_keys
from kubeboot.steps.etcd import external as external_etcd


def places(external: ExternalEtcd | None) -> dict[str, str]:
    """Where each thing that is shared lies on a control plane."""
    elsewhere = external_etcd.files(external) if external else {}
    names = (*sealed.shared(external is not None), sealed.ENCRYPTION)
    return {name: elsewhere.get(name, f"{table.DIRECTORY}/{name}") for name in names}


def on_disk(see: HostView, external: ExternalEtcd | None = None) -> dict[str, bytes]:
    """What is shared, as far as this machine has it; `external`: the etcd that runs elsewhere."""
    where = places(external)
    found = looks.together(functools.partial(see.read, path) for path in where.values())
    return {name: data for name, data in zip(where, found, strict=True) if data is not None}


def is_complete(given: Mapping[str, bytes], external: ExternalEtcd | None) -> bool:
    """Whether it is all that every control plane has."""
    return set(given) >= set(sealed.shared(external is not None))


def upload(api: Api, see: HostView, key: str) -> None:
    """Put this control plane's into the cluster for two hours."""
    external = external_etcd.found(see)
    found, where = on_disk(see, external), places(external)
    missing = [where[name] for name in sealed.shared(external is not None) if name not in found]
    if missing:
        raise errors.KubebootError(
            f"this machine lacks {', '.join(missing)}",
            hint="run this on a control plane",
            reason="KB_NO_CERTIFICATES",
        )
    uploads.upload(api, found, key)


def obtain(
    api: ApiView, see: HostView, key: Secret[str] | None, authority: bytes, external: ExternalEtcd | None
) -> Mapping[str, bytes]:
    """From the cluster with the certificate key; without one, what lies on this machine already."""
    wanted = sealed.shared(external is not None)
    found = on_disk(see, external) if key is None else uploads.download(api, key.reveal(), wanted)
    if not is_complete(found, external):
        raise errors.UsageProblem(
            "a control plane needs --certificate-key or --certificate-key-file",
            hint="`kubeboot certs upload` on a control plane prints a key",
            reason="KB_CERTIFICATE_KEY",
        )
    wrong = shared_keys.mismatched(found)
    if wrong or set(pem.certificates(found["ca.crt"])).isdisjoint(pem.certificates(authority)):
        raise errors.KubebootError(
            f"these are not this cluster's certificates: {', '.join(wrong) or 'ca.crt is another authority'}",
            hint="`kubeboot certs upload` on a control plane uploads the right ones",
            reason="KB_OTHER_CLUSTER",
        )
    return found


def signer(given: Mapping[str, bytes], name: str) -> build.Pair:
    """One of the authorities, to sign with. KubebootError (KB_CA_DAMAGED) where it cannot: an empty file."""
    pair = build.Pair(given.get(f"{name}.crt", b""), given.get(f"{name}.key", b""))
    wrong = shared_keys.unreadable(pair)
    if wrong is None:
        return pair
    raise errors.KubebootError(
        f"{table.DIRECTORY}/{name}.{wrong} is damaged, and nothing can be signed with it",
        hint="put it back from another control plane or a backup, then run the same command again; "
        "`sudo kubeboot reset --force` takes kubeboot off a machine without telling the cluster",
        reason="KB_CA_DAMAGED",
    )


def administrator(
    given: Mapping[str, bytes],
    server: str,
    timeout_scale: float = 1.0,
    dialler: dial.Dialler = dial.direct,
    *,
    known: bool = False,
) -> client.Client:
    """An API server, as an administrator whose certificate never leaves memory. `known`: it has answered."""
    row = next(row for row in table.IDENTITIES if row.name == "admin")
    key = build.new_key()
    made = build.certificate(row.profile, key.public_key(), signer(given, "ca"), days=1, at=build.now())
    who = Endpoint(server, given["ca.crt"], made, pem.encode_key(key), tls_server_name=table.SERVER_NAME)
    return client.connect(who, dialler, timeout_scale, known=known)


def members(
    given: Mapping[str, bytes],
    addresses: Iterable[str],
    api: Api | None = None,
    holder: str = "",
    timeout_scale: float = 1.0,
    dialler: dial.Dialler = dial.direct,
    tell: Callable[[str], None] = lambda text: None,
) -> etcd_client.Client:
    """etcd at these addresses; changes are made under the cluster's lock where there is an API to hold it.

    `tell` is told for whom the lock is waited.
    """
    who = etcd_client.identity(signer(given, "etcd/ca"))

    def lock() -> AbstractContextManager[None]:
        if api is None:
            return contextlib.nullcontext()
        return lease.held(api, holder, lease.Wait(lease.PATIENCE * timeout_scale, tell))

    return etcd_client.Client(who, etcd_client.addresses_url(addresses), lock, dialler, timeout_scale)
