"""Whether all API servers know ServiceAccounts by the same keys: if not, pods are refused now and then."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from kubeboot import errors
from kubeboot.fleet.doctor.patient import Patient
from kubeboot.fleet.orders import ADMIN_CONF
from kubeboot.kube import client
from kubeboot.pki import endpoint
from kubeboot.steps import haproxy
from kubeboot.steps.preflight import Finding


def signing(patient: Patient) -> Iterable[Finding]:
    """Each ready API server's keys (/openid/v1/jwks) against the first one's, as an administrator."""
    admin = patient.see.read(ADMIN_CONF)
    known = dict(_keys(patient, admin)) if admin and patient.control_plane else {}
    first = next(iter(known), "")
    for where, keys in known.items():
        if keys.isdisjoint(known[first]):
            yield Finding(
                f"ServiceAccountKeys-{where}",
                f"the API server at {where} believes other ServiceAccount tokens than the one at {first}: "
                "pods are refused (401) by one of the two",
                "sha256sum /etc/kubernetes/pki/sa.* on all control planes; copy both files from one that is "
                "right, then run the command that made that machine again",
            )


def _keys(patient: Patient, admin: bytes) -> Iterator[tuple[str, frozenset[str]]]:
    for address, port in haproxy.known(patient.see):
        where = endpoint.join(address, port)
        api = client.from_kubeconfig(admin, server=f"https://{where}")
        with contextlib.suppress(errors.KubebootError):
            if api.ready() is None:
                yield where, api.signing_keys()
