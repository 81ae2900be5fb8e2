"""What must not leave the machine with a support file: what a machine keeps secret, and how it is taken out.

Three nets, each of which would do for the ordinary case: no file of keys is ever packed; structured files
are read, and their values dropped by name; and every text is searched for the secrets of this very machine.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from kubeboot import render
from kubeboot.config import effective
from kubeboot.host.api import CommandFailed, HostView
from kubeboot.log import Redactor

HIDDEN = "***"
_NAMES = (
    r"pass(?:word|wd|phrase)?|secret|token|credentials?|authorization|auth|"
    r"(?:private|api|access|secret|certificate|encryption)[_-]?key|key[_-]?data|bearer"
)
_SECRET_NAME = re.compile(rf"(?i)(?:{_NAMES})$")
_FLAG = re.compile(rf"(?i)(--[\w-]{{0,64}}(?:{_NAMES})[= ])(?!/)[^\s'\"]+")
_ASSIGN = rf"\b[\w.-]{{0,64}}(?:{_NAMES})[\"']?[ \t]*[=:][ \t]*"
_QUOTED = re.compile(rf"(?i)({_ASSIGN}([\"']))(?![/*])(?:(?!\2)[^\n])+")
_BARE = re.compile(rf"(?i)({_ASSIGN})(?![/\s\"'*])[^\s\"',;}}\]]+")
_IN_URL = re.compile(r"(://)[^\s/@'\"]+@")
_ENVIRONMENT = frozenset({"env", "extraEnvs", "environment"})
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)-----END", re.DOTALL)
_LONG = 20

KEY_DIRECTORIES = ("/etc/kubernetes/pki", "/etc/kubernetes/pki/etcd", "/var/lib/kubelet/pki")
KUBECONFIGS = tuple(
    f"/etc/kubernetes/{name}.conf"
    for name in ("admin", "super-admin", "controller-manager", "scheduler", "kubelet", "bootstrap-kubelet")
)
YAML_FILES = (*KUBECONFIGS, effective.ENCRYPTION)
CONFIG_DIRECTORY = "/etc/kubeboot"


def structured(data: Any) -> Any:  # noqa: ANN401 - YAML, JSON and TOML are untyped
    """The same data, less every value that its name gives away as secret, and every variable's value."""
    return _clean(data, hide=False)


def _clean(data: Any, *, hide: bool) -> Any:  # noqa: ANN401
    if isinstance(data, Mapping):
        return _mapping(data, hide)
    if isinstance(data, (list, tuple)):
        return [_clean(item, hide=hide) for item in data]
    return HIDDEN if hide and _could_be_secret(data) else data


def _mapping(data: Mapping[str, Any], hide: bool) -> dict[str, Any]:
    name = str(data.get("name", ""))
    told = "value" in data and _SECRET_NAME.search(name) is not None
    return {
        key: _clean(value, hide=hide or _hides(str(key)) or (told and key == "value"))
        if not (hide and key == "name")
        else value
        for key, value in data.items()
    }


def _hides(key: str) -> bool:
    return key in _ENVIRONMENT or _SECRET_NAME.search(key) is not None


def _could_be_secret(value: object) -> bool:
    """A path names where a secret is, and a switch is none."""
    return isinstance(value, (str, bytes)) and bool(value) and not str(value).startswith("/")


class Cleaner:
    """Takes secrets out of text; knows those that lie on the machine."""

    def __init__(self, see: HostView) -> None:
        self._redactor = Redactor()
        for secret in known(see):
            self._redactor.hide(secret)

    def text(self, text: str) -> str:
        """The text without its secrets."""
        text = self._redactor.clean(text)
        text = _FLAG.sub(rf"\1{HIDDEN}", text)
        text = _QUOTED.sub(rf"\1{HIDDEN}", text)
        text = _BARE.sub(rf"\1{HIDDEN}", text)
        return _IN_URL.sub(rf"\1{HIDDEN}@", text)


def known(see: HostView) -> Iterator[str]:
    """Every secret that lies in the files that are known to hold some."""
    for path in _key_files(see):
        for found in _PEM.findall(_read(see, path)):
            yield from (line for line in found.split() if len(line) > _LONG)
    for path in YAML_FILES:
        yield from _values(_parsed(_read(see, path)))
    for name in see.listdir(CONFIG_DIRECTORY):
        found = _parsed(_read(see, f"{CONFIG_DIRECTORY}/{name}"))
        yield from _values(found)
        for path in _credential_files(found):
            yield from _logins(_read(see, path))


def _key_files(see: HostView) -> Iterator[str]:
    for directory in KEY_DIRECTORIES:
        yield from (f"{directory}/{name}" for name in see.listdir(directory))


def _read(see: HostView, path: str) -> str:
    try:
        return (see.read(path) or b"").decode(errors="replace")
    except CommandFailed:  # a directory, or not for this user, who then cannot pack it either
        return ""


def _parsed(text: str) -> Any:  # noqa: ANN401
    try:
        return render.load_all(text)
    except yaml.YAMLError:
        return None


def _values(data: Any, *, secret: bool = False) -> Iterator[str]:  # noqa: ANN401
    """The strings that `structured` would hide."""
    if isinstance(data, Mapping):
        told = "value" in data and _SECRET_NAME.search(str(data.get("name", ""))) is not None
        for key, value in data.items():
            hides = _hides(str(key)) or (told and key == "value")
            yield from _values(value, secret=(secret or hides) and key != "name")
    elif isinstance(data, (list, tuple)):
        for item in data:
            yield from _values(item, secret=secret)
    elif secret and isinstance(data, str) and _could_be_secret(data):
        yield data


def _credential_files(data: Any) -> Iterator[str]:  # noqa: ANN401
    if isinstance(data, Mapping):
        for key, value in data.items():
            if str(key).lower().endswith("credentialsfile") and isinstance(value, str):
                yield value
            yield from _credential_files(value)
    elif isinstance(data, (list, tuple)):
        for item in data:
            yield from _credential_files(item)


def _logins(text: str) -> Iterator[str]:
    """From a file as `docker login` writes it: the passwords, as they are and as they travel."""
    try:
        entries = json.loads(text)["auths"].values()
        for entry in entries:
            yield from (str(value) for key, value in entry.items() if key != "username")
            yield base64.b64decode(entry.get("auth", "")).decode(errors="replace").partition(":")[2]
    except (ValueError, KeyError, AttributeError, TypeError, binascii.Error):
        return
