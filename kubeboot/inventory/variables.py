"""Ansible's connection variables, and kubespray's of a node, as a Machine."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kubeboot.config import names
from kubeboot.inventory.model import Access, Machine, Role, pin

Variables = Mapping[str, Any]

_SSH = ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh")
_HOST = ("ansible_host", "ansible_ssh_host")
_USER = ("ansible_user", "ansible_ssh_user")
_PORT = ("ansible_port", "ansible_ssh_port")
_KEY = ("ansible_ssh_private_key_file", "ansible_private_key_file")
_PASSWORD = ("ansible_password", "ansible_ssh_password", "ansible_ssh_pass")
_SUDO = ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")
_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
_HOST_KEY = "kubeboot_host_key"
_CHECKING = ("ansible_host_key_checking", "ansible_ssh_host_key_checking")
_ADDRESS = ("ip", "access_ip")
_TAINT = re.compile(r"^([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$")
_PLAIN = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
_OPTION = {"-J": "ProxyJump", "-p": "Port", "-l": "User", "-i": "IdentityFile"}
_SILENT = ("-C", "-q", "-A", "-a", "-4", "-6", "-T", "-x", "-k", "-K", "-v")
_ANY_KEY = (("StrictHostKeyChecking", "no"), ("UserKnownHostsFile", "/dev/null"))


def machine(name: str, roles: Iterable[Role], given: Variables, home: Path) -> Machine:
    """A host with its variables. ValueError says what cannot be used. `home`: where relative files are."""
    said = {
        key: _written_out(key, value, {**given, "inventory_hostname": name}) for key, value in given.items()
    }
    found = frozenset(roles)
    return Machine(
        name=name,
        roles=found,
        access=_access(said, home),
        address=_text(said, _ADDRESS),
        labels=tuple(sorted(_label(*pair) for pair in _labels(said.get("node_labels")).items())),
        taints=_taints(said, found),
        bundle=_text(said, ("kubeboot_bundle",)),
    )


def _access(said: Variables, home: Path) -> Access:
    kind = str(said.get("ansible_connection", "ssh"))
    if kind not in (*_SSH, "local"):
        raise ValueError(f"ansible_connection `{kind}` is not supported, only ssh and local are")
    options = [option for name in _ARGUMENTS for option in _options(str(said.get(name) or ""))]
    config = next((value for key, value in options if key == "-F"), None)
    key, port = _text(said, _KEY), _text(said, _PORT)
    if any(str(said.get(name)).lower() in ("false", "no", "0") for name in _CHECKING):
        options += _ANY_KEY
    return Access(
        host=_text(said, _HOST),
        user=_text(said, _USER),
        port=_port(port) if port else None,
        key_file=_file(key, home) if key else None,
        options=tuple(option for option in options if option[0] != "-F"),
        config=_file(config, home) if config else None,
        password=_text(said, _PASSWORD),
        sudo_password=_text(said, _SUDO),
        host_keys=_pins(said.get(_HOST_KEY)),
        local=kind == "local",
    )


def _port(text: str) -> int:
    if not names.is_port(text):
        raise ValueError(f"the port `{text[:20]}` is not a number from 1 to 65535")
    return int(text)


def _labels(given: object) -> Mapping[str, Any]:
    if given and not isinstance(given, Mapping):
        raise ValueError("node_labels are not a mapping")
    return given or {}  # type: ignore[return-value]


def _label(key: object, value: object) -> tuple[str, str]:
    wrong = names.label_key(str(key)) or names.label_value(_word(value))
    if wrong:
        raise ValueError(f"the label `{key}: {value}`: {wrong}")
    return str(key), _word(value)


def _pins(given: object) -> tuple[str, ...]:
    """One, or a list of them."""
    found = given if isinstance(given, list) else [given] if given else []
    return tuple(pin(str(text)) for text in found)


def _options(text: str) -> Iterator[tuple[str, str]]:
    """ssh's arguments as options of ssh_config; `-F FILE` as it is."""
    words = iter(shlex.split(text))
    for word in words:
        flag, value = word[:2], word[2:]
        if flag in _SILENT:
            continue
        if flag not in ("-o", "-F", *_OPTION):
            raise ValueError(f"ssh's argument `{word}` is not supported here; write it as -o OPTION=VALUE")
        value = value or next(words, "")
        if flag == "-o":
            name, _, rest = value.replace("=", " ", 1).partition(" ")
            yield name, rest.strip().strip('"')
        else:
            yield _OPTION.get(flag, flag), value


def _text(said: Variables, names: Iterable[str]) -> str | None:
    name = next((name for name in names if said.get(name) not in (None, "")), None)
    if name is not None and isinstance(said[name], Mapping):
        raise ValueError(f"{name} is vaulted: name the vault's password with ANSIBLE_VAULT_PASSWORD_FILE")
    return None if name is None else str(said[name])


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _file(text: str, home: Path) -> str:
    """As it is written, or beside the inventory where that is meant."""
    path = Path(text).expanduser()
    beside = home / path
    return str(beside if not path.is_absolute() and beside.exists() else path)


def _written_out(name: str, value: Any, known: Variables) -> Any:  # noqa: ANN401 - Ansible's variables
    """A variable that is nothing but others' names is written out; only those that are used here need be."""
    if not isinstance(value, str) or "{{" not in value:
        return value
    for _ in range(5):
        value = _PLAIN.sub(lambda found: str(known.get(found[1], found[0])), value)
    if "{{" in value and name in _USED:
        raise ValueError(f"{name} is a template, `{value}`: write it out")
    return value


_USED = frozenset({*_HOST, *_USER, *_PORT, *_KEY, *_PASSWORD, *_SUDO, *_ARGUMENTS, *_ADDRESS, _HOST_KEY})


def _taints(said: Variables, roles: frozenset[Role]) -> tuple[tuple[str, str, str], ...] | None:
    """kubespray's `node_taints`; a control plane that is in kube_node too runs pods, as with kubespray."""
    given = said.get("node_taints")
    if given:
        return tuple(_taint(str(text)) for text in given)
    return () if {"control_plane", "worker"} <= roles else None


def _taint(text: str) -> tuple[str, str, str]:
    found = _TAINT.match(text)
    if found is None:
        raise ValueError(f"the taint `{text}` is not KEY=VALUE:EFFECT")
    return found[1], found[2] or "", found[3]
