"""Inventories that are wrong: what Ansible makes of them (LISTED), and files that it reads itself (FILES)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

HOSTS = {
    "cp-1": {"ansible_host": "192.0.2.11", "ansible_user": "debian", "ip": "10.0.0.11"},
    "worker-1": {
        "ansible_host": "192.0.2.21",
        "ansible_port": 22,
        "ansible_ssh_common_args": "-o ProxyJump=bastion",
        "node_labels": {"zone": "a"},
        "node_taints": ["gpu=yes:NoSchedule"],
    },
}
GROUPS = {
    "all": {"children": ["kube_control_plane", "kube_node"]},
    "kube_control_plane": {"hosts": ["cp-1"]},
    "kube_node": {"hosts": ["worker-1"]},
}
GOOD: Mapping[str, Any] = {"_meta": {"hostvars": HOSTS}, **GROUPS}


def worker(**given: Any) -> dict[str, Any]:
    """The good one, with these variables of its worker."""
    return {"_meta": {"hostvars": {**HOSTS, "worker-1": {**HOSTS["worker-1"], **given}}}, **GROUPS}


def groups(**given: Any) -> dict[str, Any]:
    """The good one, with these groups."""
    return {**GOOD, **given}


LISTED: Mapping[str, Any] = {
    "nothing": {},
    "no-control-plane": {"_meta": {"hostvars": HOSTS}, "kube_node": {"hosts": ["worker-1"]}},
    "group-number": groups(kube_node=5),
    "group-list": groups(kube_node=["worker-1", 7]),
    "group-null": groups(kube_control_plane=None),
    "hosts-text": groups(kube_control_plane={"hosts": "cp-1"}),
    "hosts-number": groups(kube_node={"hosts": 3}),
    "hosts-nested": groups(kube_node={"hosts": [["worker-1"]]}),
    "children-number": groups(kube_node={"children": 4}),
    "children-null": groups(kube_node={"hosts": None, "children": None}),
    "meta-list": {"_meta": [], **GROUPS},
    "hostvars-list": {"_meta": {"hostvars": ["cp-1"]}, **GROUPS},
    "variables-text": {"_meta": {"hostvars": {"cp-1": "ansible_host=192.0.2.11"}}, **GROUPS},
    "variables-null": {"_meta": {"hostvars": {"cp-1": None}}, **GROUPS},
    "name-upper": groups(kube_node={"hosts": ["Worker_1 ; reboot"]}),
    "name-option": groups(kube_node={"hosts": ["-oProxyCommand=x"]}),
    "name-newline": groups(kube_node={"hosts": ["a\nb"]}),
    "name-empty": groups(kube_node={"hosts": [""]}),
    "port-word": worker(ansible_port="ssh"),
    "port-zero": worker(ansible_port=0),
    "port-negative": worker(ansible_port=-22),
    "port-huge": worker(ansible_port=70000),
    "port-list": worker(ansible_port=[22]),
    "port-float": worker(ansible_port=2.5),
    "port-digits": worker(ansible_port="9" * 5000),
    "host-list": worker(ansible_host=["192.0.2.1", "192.0.2.2"]),
    "host-command": worker(ansible_host="$(reboot)"),
    "host-option": worker(ansible_host="-oProxyCommand=x"),
    "host-true": worker(ansible_host={"a": 1}),
    "host-template": worker(ansible_host="{{ lookup('env', 'A') }}"),
    "user-shell": worker(ansible_user="a; reboot"),
    "same-address": worker(ip="10.0.0.11"),
    "address-range": worker(ip="10.0.0.0/24"),
    "address-list": worker(ip=["10.0.0.1"]),
    "labels-list": worker(node_labels=["a=b"]),
    "labels-text": worker(node_labels="a=b"),
    "labels-number": worker(node_labels=4),
    "label-value": worker(node_labels={"a b": "c d"}),
    "label-map": worker(node_labels={"a": {"b": 1}}),
    "taints-number": worker(node_taints=4),
    "taints-text": worker(node_taints="gpu"),
    "taint-effect": worker(node_taints=["a=b:Never"]),
    "taint-map": worker(node_taints=[{"key": "a"}]),
    "arguments-open": worker(ansible_ssh_common_args="-o 'ProxyJump"),
    "arguments-unknown": worker(ansible_ssh_common_args="-L 80:a:80"),
    "arguments-list": worker(ansible_ssh_args=["-q"]),
    "connection": worker(ansible_connection="winrm"),
    "connection-null": worker(ansible_connection=["ssh"]),
    "host-key": worker(kubeboot_host_key="ssh-ed25519 nonsense"),
    "host-key-map": worker(kubeboot_host_key={"a": 1}),
    "cluster-broken": worker(kubeboot_cluster="a: [b"),
    "cluster-deep": worker(kubeboot_cluster="[" * 3000),
    "cluster-bomb": worker(kubeboot_cluster="a: &a [x]\nb: &b [*a, *a]\n" * 3),
    "cluster-list": worker(kubeboot_cluster=["a"]),
    "cluster-field": worker(kubeboot_cluster={"clusterNmae": "a"}),
    "cluster-value": worker(kubeboot_cluster={"networking": {"podSubnet": 10}}),
    "cluster-number": worker(kubeboot_cluster=5),
    "bundle-map": worker(kubeboot_bundle={"a": 1}),
    "surrogate": worker(ansible_user="\udcff"),
    "nul": worker(ansible_host="a\0b"),
}

INI = "[kube_control_plane]\ncp-1\n"
FILES: Mapping[str, Mapping[str, str]] = {
    "ini-section": {"hosts": "[kube_control_plane\ncp-1\n"},
    "ini-variable": {"hosts": "[kube_control_plane]\ncp-1 ansible_host\n"},
    "ini-quote": {"hosts": "[kube_control_plane]\ncp-1 ansible_user='a\n"},
    "ini-loop": {"hosts": "[a:children]\nb\n[b:children]\na\n[kube_control_plane]\ncp-1\n"},
    "ini-range": {"hosts": "[kube_control_plane]\ncp-[3:1]\n"},
    "ini-port": {"hosts": "[kube_control_plane]\ncp-1 ansible_port=ssh\n"},
    "ini-template": {"hosts": "[kube_control_plane]\ncp-1 ansible_host='{{ a | b }}'\n"},
    "ini-cluster": {"hosts": "[kube_control_plane]\ncp-1\n[all:vars]\nkubeboot_cluster={'a': \n"},
    "empty": {"hosts": ""},
    "binary": {"hosts": "\x00\x01\x02\n"},
    "yaml-list": {"hosts.yaml": "- cp-1\n"},
    "yaml-tab": {"hosts.yaml": "all:\n\thosts: {}\n"},
    "yaml-hosts": {"hosts.yaml": "kube_control_plane: {hosts: [cp-1]}\n"},
    "yaml-group": {"hosts.yaml": "kube_control_plane: {hosts: {cp-1: {}}, hsots: {}}\nkube_node: 5\n"},
    "yaml-object": {"hosts.yaml": "kube_control_plane: {hosts: {cp-1: !!python/object:os.system a}}\n"},
    "yaml-deep": {"hosts.yaml": "a: " + "[" * 3000},
    "vars-broken": {"hosts": INI, "group_vars/all.yaml": "a: [b\n"},
    "vars-list": {"hosts": INI, "group_vars/all.yaml": "- a\n"},
    "vars-cluster": {
        "hosts": INI,
        "group_vars/all.yaml": "kubeboot_cluster: {networking: {podSubnet: ten}}\n",
    },
    "vars-host": {"hosts": INI, "host_vars/cp-1.yaml": "ansible_port: [22]\n"},
    "vault": {
        "hosts": INI,
        "group_vars/all.yaml": "$ANSIBLE_VAULT;1.1;AES256\n00\n",
    },
    "script-fails": {"hosts.sh": "#!/bin/sh\necho broken >&2\nexit 3\n"},
    "script-words": {"hosts.sh": "#!/bin/sh\necho 'no JSON'\n"},
    "script-list": {"hosts.sh": "#!/bin/sh\necho '[1, 2]'\n"},
    "script-cut": {"hosts.sh": '#!/bin/sh\nprintf \'{"kube_control_plane": {"hosts": ["cp-1"\'\n'},
    "script-shape": {
        "hosts.sh": '#!/bin/sh\necho \'{"kube_control_plane": {"hosts": {"cp-1": 5}}, "_meta": 7}\'\n'
    },
    "script-interpreter": {"hosts.sh": "#!/nonexistent/python\n"},
}
"""The first file's name tells its format; `.sh` is executable. With more files the directory is given."""
REALLY_READ = ("ini-section", "yaml-hosts", "vars-cluster", "script-cut")
"""Those that every run reads with Ansible itself, which takes a second for each."""

_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2.5, 10**30, "", " ", "a b", "\n", "\0", "{{ a }}", "{{", "$(x)", "-o", "::1",
    "10.0.0.0/8", "[" * 300, "a: [", "&a *a", "'", '"', "\\", "ü", "\udcff", "x" * 2000, [], [[]], {},
    {"a": {"b": []}}, [None], ["cp-1"], {"cp-1": None},
)  # fmt: skip


def spoilt(draw: random.Random, tree: Any) -> Any:
    """A copy of a listing in which one value, somewhere, is another, gone, or under another name."""
    if not isinstance(tree, dict | list) or not tree or draw.random() < 0.15:
        return draw.choice(_VALUES)
    if isinstance(tree, list):
        at = draw.randrange(len(tree))
        return [*tree[:at], spoilt(draw, tree[at]), *tree[at + 1 :]]
    key = draw.choice(list(tree))
    rest = {name: value for name, value in tree.items() if name != key}
    match draw.randrange(6):
        case 0:
            return rest
        case 1:
            return {**rest, str(draw.choice(_VALUES)): tree[key]}
        case _:
            return {**rest, key: spoilt(draw, tree[key])}
