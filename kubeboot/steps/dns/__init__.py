"""CoreDNS: kubeadm's objects, and the proof that names resolve."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator

from kubeboot import errors, render
from kubeboot.artifacts.api import Catalog
from kubeboot.config import patching
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Ref, Step, View
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiUnavailable, Object
from kubeboot.pki import endpoint
from kubeboot.steps import basic, manifests
from kubeboot.steps.dns import query as dns_query

_PORT = 53
_PATIENCE = 1.0


@dataclasses.dataclass(frozen=True)
class DnsAnswers:
    """The cluster's name server, asked from a machine by its Service address, knows the API's Service."""

    server: str
    name: str
    expected: str
    deadline: float = 180.0

    @property
    def sentence(self) -> str:
        return f"DNS at {self.server} to answer"

    def look(self, see: View, vals: Values) -> str | None:
        """Asked twice where need be: a lost packet is sent again only after a second, the patience of one."""
        return self._ask(see) and self._ask(see)

    def _ask(self, see: View) -> str | None:
        try:
            with see.host.dial(self.server, _PORT, _PATIENCE) as connection:
                connection.settimeout(max(_PATIENCE, connection.gettimeout() or 0.0))
                found = dns_query.ask(connection, self.name)
        except (OSError, dns_query.BadAnswer, errors.KubebootError) as error:
            return f"{self.server}: {error}"
        return None if self.expected in found else f"{self.name} is {', '.join(found) or 'nothing'}"

    def explain(self, see: View) -> str:
        try:
            pods = see.api.list("v1", "Pod", "kube-system", "k8s-app=kube-dns")
        except ApiUnavailable as error:
            return str(error)
        return "\n".join(map(describe, pods)) or "there is no CoreDNS pod"


def describe(pod: Object) -> str:
    """A pod in one line: where it is, its phase, and what its containers wait for."""
    status, where = pod.get("status", {}), pod.get("spec", {}).get("nodeName", "no node")
    words = ", ".join((status.get("phase", "unknown"), *_reasons(status)))
    return f"{pod['metadata']['name']} on {where}: {words}"


def _reasons(status: Object) -> Iterator[str]:
    for condition in status.get("conditions", ()):
        if condition.get("status") != "True" and condition.get("message"):
            yield condition["message"]
    for container in status.get("containerStatuses", ()):
        waiting = container.get("state", {}).get("waiting")
        if waiting:
            yield f"{container['name']}: {waiting.get('message') or waiting.get('reason', 'waiting')}"


def steps(
    spec: ClusterSpec, node: NodeSettings, catalog: Catalog, after: Iterable[Ref] = ("control-plane/ready",)
) -> tuple[Step, ...]:
    """The objects go early, so that the pods are scheduled the moment a node is ready."""
    waits = ("proxy/root-ca", "dns/configmap-coredns", "dns/serviceaccount-coredns")
    objects = load(spec, catalog.image("coredns").name)
    return (
        *manifests.steps(objects, "dns", after, {"Deployment": waits}),
        basic.Await(
            id="dns/answers",
            title="Wait for DNS to answer",
            on=node.name,
            after=frozenset({"@cluster:dns/", "@cluster:proxy/", "@cluster:network/"}),
            condition=DnsAnswers(
                server=service_address(spec),
                name=f"kubernetes.default.svc.{spec.networking.dns_domain}",
                expected=endpoint.first_addresses(spec.networking.service_subnet)[0],
            ),
            cost=6.0,
        ),
    )


def service_address(spec: ClusterSpec) -> str:
    """The tenth address of the (first) service subnet, as everywhere."""
    subnet = spec.networking.service_subnet.split(",")[0].strip()
    return str(ipaddress.ip_network(subnet, strict=False)[10])


def load(spec: ClusterSpec, image: str) -> tuple[Object, ...]:
    """CoreDNS's objects, with the patches of its Deployment."""
    made = manifests.load(
        "coredns/objects.yaml.j2",
        image=image,
        corefile=corefile(spec),
        address=service_address(spec),
        replicas=spec.dns.replicas,
    )
    patches = patching.of(spec, patching.COREDNS)
    return tuple(patching.apply(obj, patches) if obj["kind"] == "Deployment" else obj for obj in made)


def corefile(spec: ClusterSpec) -> str:
    """CoreDNS's own config."""
    text = render.template(
        "coredns/Corefile.j2",
        domain=spec.networking.dns_domain,
        upstream=" ".join(spec.dns.upstream) or "/etc/resolv.conf",
    )
    more = spec.dns.extra_corefile.strip("\n")
    return f"{text}{more}\n" if more else text
