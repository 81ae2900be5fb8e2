"""Bootstrap tokens in the cluster: Secrets of kube-system, signed for by ConfigMap cluster-info."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import time
from collections.abc import Callable, Mapping
from typing import Any

from kubeboot import errors
from kubeboot.kube import configmaps, rbac
from kubeboot.kube.api import Api, ApiAway, ApiError, ApiView, Object
from kubeboot.pki import jws, kubeconfig, pins, tokens
from kubeboot.pki.tokens import BootstrapToken

Clock = Callable[[], datetime.datetime]

TTL = datetime.timedelta(hours=24)
USAGES = ("authentication", "signing")
SIGNED_WITHIN = 30.0
_USAGE = "usage-bootstrap-"


@dataclasses.dataclass(frozen=True)
class Token:
    """A bootstrap token as the cluster knows it. Without `expires` it is good for ever."""

    token: BootstrapToken
    expires: datetime.datetime | None = None
    description: str = ""
    usages: tuple[str, ...] = USAGES
    groups: tuple[str, ...] = (tokens.GROUP,)

    def is_valid(self, at: datetime.datetime) -> bool:
        """Whether a machine can join with it now."""
        usable = set(USAGES) <= set(self.usages) and tokens.GROUP in self.groups
        return usable and (self.expires is None or self.expires > at)


def now() -> datetime.datetime:
    """The clock that everything uses unless it is given another."""
    return datetime.datetime.now(datetime.UTC)


def encode(token: Token) -> Object:
    """The Secret of a token, as kubeadm makes it."""
    fields = {
        "token-id": token.token.id,
        "token-secret": token.token.secret,
        "description": token.description,
        "expiration": f"{token.expires:%Y-%m-%dT%H:%M:%SZ}" if token.expires else "",
        "auth-extra-groups": ",".join(token.groups),
        **{_USAGE + usage: "true" for usage in token.usages},
    }
    data = {name: base64.b64encode(text.encode()).decode() for name, text in fields.items() if text}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": token.token.object_name, "namespace": rbac.SYSTEM},
        "type": tokens.SECRET_TYPE,
        "data": data,
    }


def decode(secret: Object) -> Token | None:
    """The token in a Secret; None for a Secret that holds no usable one."""
    if secret.get("type") != tokens.SECRET_TYPE:
        return None
    try:
        fields = {name: base64.b64decode(text).decode() for name, text in (secret.get("data") or {}).items()}
        return _token(fields)
    except (ValueError, KeyError, binascii.Error, errors.UsageProblem):
        return None


def _token(fields: Mapping[str, str]) -> Token:
    flags = (name for name, value in fields.items() if name.startswith(_USAGE) and value == "true")
    return Token(
        token=tokens.parse(f"{fields['token-id']}.{fields['token-secret']}"),
        expires=_instant(fields.get("expiration")),
        description=fields.get("description", ""),
        usages=tuple(sorted(flag.removeprefix(_USAGE) for flag in flags)),
        groups=tuple(group for group in fields.get("auth-extra-groups", "").split(",") if group),
    )


def _instant(stamp: str | None) -> datetime.datetime | None:
    if not stamp:
        return None
    found = datetime.datetime.fromisoformat(stamp)
    if found.tzinfo is None:
        raise ValueError(f"{stamp} has no time zone")
    return found


def find(api: ApiView, token_id: str) -> Token | None:
    """The token with this id."""
    secret = api.get("v1", "Secret", tokens.SECRET_PREFIX + token_id, rbac.SYSTEM)
    return decode(secret) if secret else None


def listing(api: ApiView) -> tuple[Token, ...]:
    """Every token, the one that expires first first."""
    found = (decode(secret) for secret in api.list("v1", "Secret", rbac.SYSTEM))
    return tuple(sorted((token for token in found if token), key=_order))


def _order(token: Token) -> tuple[bool, Any, str]:
    return token.expires is None, token.expires, token.token.id


def create(api: Api, token: Token) -> None:
    """Put a new token into the cluster; an id that is taken is an error."""
    try:
        api.create(encode(token))
    except ApiAway:  # it may have been done: look before that is believed
        made = find(api, token.token.id)
        if made is None or made.token != token.token:
            raise
    except ApiError as error:
        if error.status != 409:
            raise
        raise errors.KubebootError(
            f"there is a token {token.token.id} already",
            hint=f"`kubeboot token delete {token.token.id}`, or choose another",
            reason="KB_TOKEN_EXISTS",
        ) from None


def delete(api: Api, token_id: str) -> bool:
    """Take a token back at once; False when there was none."""
    return api.delete("v1", "Secret", tokens.SECRET_PREFIX + token_id, rbac.SYSTEM)


def unsigned(api: ApiView, token: BootstrapToken) -> str | None:
    """Why a machine that joins could not verify the cluster by this token yet; None when it could."""
    info = api.get("v1", "ConfigMap", configmaps.INFO, rbac.PUBLIC)
    if info is None:
        return "there is no cluster-info yet"
    signature = info["data"].get(jws.KEY_PREFIX + token.id)
    if signature is None:
        return f"cluster-info is not signed for token {token.id} yet"
    signed = jws.verify(signature, info["data"].get(configmaps.INFO_KEY, ""), token)
    return None if signed else f"cluster-info's signature for token {token.id} is an old one"


def await_signed(
    api: ApiView,
    token: BootstrapToken,
    within: float = SIGNED_WITHIN,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Return when machines can join with the token: kube-controller-manager signs within a second or so."""
    end = time.monotonic() + within
    while (why := unsigned(api, token)) is not None:
        if time.monotonic() > end:
            raise errors.TimedOut(
                f"waited {within:.0f}s for the token to become usable: {why}",
                hint="kube-controller-manager signs for tokens: check that it is running",
                reason="KB_TOKEN_UNSIGNED",
            )
        pause(0.1)


def join_command(
    api: ApiView, token: BootstrapToken, certificate_key: str = "", balancer_by: str = ""
) -> tuple[str, ...]:
    """The words of `kubeboot join …` for this cluster; with a certificate key, of a control plane.

    `balancer_by`: of a balancer, by way of this control plane, since the endpoint leads to balancers.
    """
    info = api.get("v1", "ConfigMap", configmaps.INFO, rbac.PUBLIC)
    if info is None:
        raise errors.KubebootError(
            "there is no ConfigMap kube-public/cluster-info",
            hint="run `sudo kubeboot init` on a control plane: it makes it again",
            reason="KB_NO_CLUSTER_INFO",
        )
    config = kubeconfig.decode(info["data"][configmaps.INFO_KEY])
    where = balancer_by or config.server.removeprefix("https://")
    pin = pins.pin(config.authority)
    leading = ("--control-plane", "--certificate-key", certificate_key) if certificate_key else ()
    also = ("--role", "lb") if balancer_by else leading
    return ("kubeboot", "join", where, "--token", token.text, "--discovery-token-ca-cert-hash", pin, *also)
