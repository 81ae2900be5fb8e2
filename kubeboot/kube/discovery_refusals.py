"""Why a cluster was not found or not believed: one error, with its hint, for each way discovery can end."""

from __future__ import annotations

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
