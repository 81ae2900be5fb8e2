"""Why a cluster was not found or not believed: one error, with its hint, for each way discovery can end."""

from __future__ import annotations

from collections.abc import Iterable

from kubeboot import errors
from kubeboot.kube.api import ApiUnavailable
from kubeboot.kube.failures import NO_TLS
from kubeboot.pki.tokens import BootstrapToken

NEW_TOKEN = "`kubeboot token create --print-join-command` on a control plane prints a new one"  # noqa: S105


def unreachable(address: str, why: str) -> errors.Unreachable:
    """Nothing answers there."""
    return errors.Unreachable(
        f"cannot reach a cluster at {address}: {why}",
        hint="check the address and the port (haproxy's 8443 or an API server's 6443), that a control plane "
        f"runs there and that no firewall is in between: `curl -k https://{address}/readyz`",
        reason="KB_DISCOVERY_UNREACHABLE",
    )


def distrusted(address: str, error: ApiUnavailable) -> errors.Unreachable:
    """What answers cannot prove that it is the cluster."""
    if error.reason == NO_TLS:
        return not_kubernetes(address, "it does not speak TLS")
    return errors.Unreachable(
        f"{address} has a certificate that the pinned authority did not issue: {error.message}",
        hint="someone may be intercepting the connection; check before you try again",
        reason="KB_DISCOVERY_UNTRUSTED",
    )


def not_kubernetes(address: str, why: str) -> errors.Unreachable:
    """What answers is something else."""
    return errors.Unreachable(
        f"what listens at {address} is not a Kubernetes API: {why}",
        hint="give the address and port of a control plane's haproxy (8443) or API server (6443)",
        reason="KB_DISCOVERY_NOT_KUBERNETES",
    )


def unknown(address: str, token: BootstrapToken) -> errors.Unreachable:
    """The cluster does not accept the token."""
    return errors.Unreachable(
        f"the cluster at {address} does not know the token {token.id}: it has expired, or never existed",
        hint=NEW_TOKEN,
        reason="KB_TOKEN_UNKNOWN",
    )


def invalid(address: str, token: BootstrapToken) -> errors.Unreachable:
    """The cluster knows the token's id, with another secret."""
    return errors.Unreachable(
        f"the token's secret is wrong: the cluster at {address} has signed for {token.id} with another one",
        hint=f"check what comes after the dot; {NEW_TOKEN}",
        reason="KB_TOKEN_INVALID",
    )


def unsigned(address: str, waited: float) -> errors.TimedOut:
    """Nobody has signed cluster-info for the token, in `waited` seconds."""
    return errors.TimedOut(
        f"waited {waited:.0f}s for the cluster at {address} to sign for its token",
        hint="kube-controller-manager signs for tokens: check that it runs on a control plane",
        reason="KB_TOKEN_UNSIGNED",
    )


def without_cluster_info(address: str) -> errors.Unreachable:
    """It is a cluster that nothing joins by a token."""
    return errors.Unreachable(
        f"the API server at {address} has no cluster-info to join with",
        hint="was this cluster made by kubeboot or kubeadm?",
        reason="KB_NO_CLUSTER_INFO",
    )


def forbidden(address: str, why: str) -> errors.Unreachable:
    """Anonymous clients may not read cluster-info; `why` in the server's words."""
    return errors.Unreachable(
        f"the API server at {address} does not show cluster-info: {why}",
        hint="let anonymous clients read ConfigMap kube-public/cluster-info while machines join",
        reason="KB_DISCOVERY_FORBIDDEN",
    )


def without_authority(address: str) -> errors.Unreachable:
    """Its cluster-info is damaged."""
    return errors.Unreachable(
        f"the cluster-info at {address} names no certificate authority",
        hint="run `kubeboot init` on a control plane: it repairs ConfigMap kube-public/cluster-info",
        reason="KB_NO_CLUSTER_INFO",
    )


def not_pinned(address: str, pins: Iterable[str], seen: Iterable[str]) -> errors.Unreachable:
    """None of its authorities is pinned."""
    return errors.Unreachable(
        f"the cluster at {address} has an authority other than the pinned one: "
        f"expected {', '.join(pins)}, seen {', '.join(seen)}",
        hint="take --discovery-token-ca-cert-hash from that cluster: "
        "`kubeboot token create --print-join-command` on a control plane prints it",
        reason="KB_CA_PIN_MISMATCH",
    )


def changed(address: str) -> errors.Unreachable:
    """Who answers shows one thing to everybody and another over verified TLS."""
    return errors.Unreachable(
        f"{address} shows another cluster-info once its certificate is verified",
        hint="someone may be intercepting the connection; check before you try again",
        reason="KB_DISCOVERY_CHANGED",
    )
