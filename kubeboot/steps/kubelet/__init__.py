"""The kubelet as a service: binaries, configs and units where kubeadm and its packages have them.

Debian, Ubuntu and the RHEL family differ in one place only: the user's own flags are in /etc/default/kubelet
or in /etc/sysconfig/kubelet; both are read.
"""

from __future__ import annotations

from kubeboot import render
from kubeboot.artifacts.api import Catalog, Source
from kubeboot.config import patching
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec, Patch
from kubeboot.engine.step import Ref, Step
from kubeboot.steps import artifacts, basic
from kubeboot.steps.kubelet import identity as kubelet_identity
from kubeboot.steps.kubelet.settings import RUNTIME_ENDPOINT, flags, node_config

HOME = "/var/lib/kubelet"
CONFIG = f"{HOME}/config.yaml"
CONFIG_DIR = f"{HOME}/config.yaml.d"
NODE_CONFIG = f"{CONFIG_DIR}/10-kubeboot.conf"
INSTANCE_CONFIG = f"{HOME}/instance-config.yaml"
FLAGS = f"{HOME}/kubeadm-flags.env"
UNIT = kubelet_identity.UNIT
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
KUBEADM_FILE = f"/etc/systemd/system/{UNIT}.d/10-kubeadm.conf"
SERVICE = "kubelet/service"
READ = frozenset(
    {
        "kubelet/binary",
        "kubelet/unit",
        "kubelet/unit-kubeadm",
        "kubelet/config",
        "kubelet/node-config",
        "kubelet/flags",
        "kubelet/client-certificate",
        "kubeconfig/kubelet",
    }
)
"""The steps of what a kubelet reads at its start: it is restarted for each of them."""


def unit(catalog: Catalog) -> str:
    """kubelet.service."""
    return render.template("systemd/kubelet.service.j2", kubelet=catalog.binary("kubelet").path)


def unit_kubeadm(catalog: Catalog) -> str:
    """The drop-in by which the kubelet gets its files and flags."""
    path = catalog.binary("kubelet").path
    return render.template("kubelet/10-kubeadm.conf.j2", kubelet=path, config_dir=CONFIG_DIR)


def config(shared: str, patches: tuple[Patch, ...]) -> str:
    """This machine's config.yaml: the cluster's shared settings, with the patches for kubelets."""
    return render.dump(patching.apply(render.load(shared), patches)) if patches else shared


def own_config(node: NodeSettings, config_text: str) -> str:
    """The drop-in with what only this machine has."""
    return render.dump(node_config(node, render.load(config_text)))


def inputs(config_text: str, node: NodeSettings, catalog: Catalog) -> str:
    """What a running kubelet is started from."""
    return basic.digest(
        catalog.binary("kubelet").sha256,
        unit(catalog),
        unit_kubeadm(catalog),
        config_text,
        own_config(node, config_text),
        flags(node),
    )


def resolv_conf(node: NodeSettings) -> str:
    """The resolver file that is kubeboot's own; empty where the machine's is good."""
    return "".join(f"nameserver {address}\n" for address in node.nameservers)


def steps(
    spec: ClusterSpec,
    node: NodeSettings,
    catalog: Catalog,
    source: Source,
    shared: str,
    after: frozenset[Ref] = frozenset(),
) -> tuple[Step, ...]:
    """Binaries, files, service. `shared` is the YAML of the settings that all kubelets of the cluster have.

    `after`: what else must be there before it starts (static pods).
    """
    text = config(shared, patching.of(spec, patching.KUBELET))
    reader = basic.Reader(UNIT, inputs(text, node, catalog))
    files = (*_units(node, catalog, reader), *_files(text, node, reader))
    enabled = _enabled(node, files)
    needed = {enabled.id, "kubelet/binary", "kubelet/client-certificate", "kubeconfig/kubelet"}
    return (
        artifacts.binary("kubelet/binary", node, catalog, source, "kubelet", reader),
        artifacts.binary("kubelet/kubectl", node, catalog, source, "kubectl"),
        *files,
        enabled,
        _service(node, reader, frozenset({*needed, "kernel/", "runtime/", *enabled.after, *after})),
    )


def _enabled(node: NodeSettings, files: tuple[Step, ...]) -> Step:
    return basic.EnsureEnabled(
        id="kubelet/enabled",
        title="Start the kubelet at boot",
        on=node.name,
        after=frozenset(step.id for step in files),
        unit=UNIT,
    )


def _service(node: NodeSettings, reader: basic.Reader, after: frozenset[Ref]) -> Step:
    return basic.EnsureUnit(
        id=SERVICE,
        title="Run the kubelet",
        on=node.name,
        after=after,
        follows=READ,
        enables=False,
        unit=UNIT,
        digest=reader.digest,
    )


def unit_file(node: NodeSettings, catalog: Catalog, reader: basic.Reader) -> Step:
    """The step that writes the unit."""
    return basic.EnsureUnitFile(
        id="kubelet/unit",
        title="Write the kubelet's unit",
        on=node.name,
        after=frozenset({"trees/"}),
        path=UNIT_FILE,
        data=unit(catalog).encode(),
        mode=0o600,
        unit=UNIT,
        reader=reader,
    )


def _units(node: NodeSettings, catalog: Catalog, reader: basic.Reader) -> tuple[Step, ...]:
    after_unit = frozenset({"kubelet/unit"})
    return (
        unit_file(node, catalog, reader),
        file(node, "kubelet/unit-kubeadm", "Write how the kubelet is started", KUBEADM_FILE,
              unit_kubeadm(catalog), reader),
        artifacts.inputs("kubelet/inputs", node, UNIT, reader.digest, after_unit),
    )  # fmt: skip


def _files(text: str, node: NodeSettings, reader: basic.Reader) -> tuple[Step, ...]:
    # instance-config.yaml is not read by the kubelet: `kubeadm upgrade node` merges it into config.yaml
    instance = render.dump({"containerRuntimeEndpoint": RUNTIME_ENDPOINT})
    table = (
        ("kubelet/config", "Write the kubelet's shared config", CONFIG, text),
        (
            "kubelet/node-config",
            "Write the kubelet's own config",
            NODE_CONFIG,
            own_config(node, text),
        ),
        ("kubelet/instance-config", "Write kubeadm's instance config", INSTANCE_CONFIG, instance),
        ("kubelet/flags", "Write the kubelet's flags", FLAGS, flags(node)),
    )
    made = tuple(file(node, *row, reader if row[0] in READ else None) for row in table)
    if not node.nameservers:
        return made
    resolver = basic.EnsureFile(
        id="kubelet/resolv-conf",
        title="Write the resolver file that pods get",
        on=node.name,
        after=frozenset({"kubelet/unit"}),
        path=node.resolv_conf,
        data=resolv_conf(node).encode(),
    )
    return (*made, resolver)


def file(
    node: NodeSettings, step_id: str, title: str, path: str, text: str, reader: basic.Reader | None
) -> Step:
    """One of its files, which it reads when it starts where there is a reader."""
    return basic.EnsureFile(
        id=step_id,
        title=title,
        on=node.name,
        after=frozenset({"kubelet/unit"}),
        path=path,
        data=text.encode(),
        mode=0o600,
        reader=reader,
    )
