"""etcd on machines of its own, as a fleet has it: who is a member, how one more gets in, by which way."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from kubeboot import errors
from kubeboot.config.etcd_access import Invitation
from kubeboot.config.spec import ClusterSpec
from kubeboot.fleet import layout, leaving, shared
from kubeboot.fleet.etcd import machine as etcd_machine
from kubeboot.fleet.reach import Crew, Reached, each
from kubeboot.fleet.run import Others
from kubeboot.fleet.ways import Ways
from kubeboot.inventory.model import Inventory
from kubeboot.kube import etcd
from kubeboot.pki import build, endpoint, sealed
from kubeboot.steps.etcd import machine as steps


@dataclasses.dataclass(frozen=True)
class EtcdMachines:
    """`first` is, or is to be, the first member; `invited` is None while none answers."""

    first: Reached
    members: frozenset[str]
    ways: Ways
    invited: Invitation | None = dataclasses.field(default=None, repr=False)

    @property
    def others(self) -> Others:
        """What a plan reaches of it: the members, by whichever answers."""
        if self.invited is None:
            return Others()
        given = etcd_machine.as_given(build.Pair(self.invited.authority, self.invited.key))
        hosts = etcd_machine.hosts(self.invited)
        return Others(etcd=shared.members(given, hosts, dialler=self.ways.dial))

    @property
    def given(self) -> Mapping[str, bytes]:
        """How the first control plane gets in, by the names under which control planes share it."""
        if self.invited is None:
            return {}
        return dict(zip(sealed.EXTERNAL, etcd_machine.access(self.invited).files, strict=True))

    def placed(
        self, spec: ClusterSpec, there: ClusterSpec, joining: Iterable[str], gone: Iterable[str]
    ) -> ClusterSpec:
        """The description with the URLs of etcd's members; `joining` are addresses, `gone` are names."""
        found, leave = self.others.etcd.members() if self.invited else (), frozenset(gone)
        stay = (m.client_urls[0] for m in found if m.client_urls and not m.learner and m.name not in leave)
        new = (endpoint.url(address, etcd.CLIENT_PORT) for address in joining)
        before = there.etcd.external.endpoints if there.etcd.external else ()
        return layout.with_etcd(spec, layout.merged(before, (*stay, *new)))


def look(inventory: Inventory, crew: Crew) -> EtcdMachines | None:
    """None where etcd is not on machines of its own. errors.Unreachable when it must answer, and does not."""
    machines = inventory.of("etcd")
    if not machines:
        return None
    names = {machine.name for machine in machines}
    there = {reached.name: reached for reached in crew.reached if reached.name in names}
    described, _ = each(there, lambda who: steps.described(who.host) is not None)
    members = {name: there[name] for name, found in described.items() if found}
    ways = Ways({address: who.host for who in there.values() for address in leaving.of_nics(who.facts)})
    for who in members.values():
        if (invited := _invitation(who)) is not None:
            return EtcdMachines(who, frozenset(members), ways, invited)
    first = _begun(members) or machines[0].name
    if first in crew.lost:
        raise crew.lost[first]
    return EtcdMachines(there[first], frozenset(members), ways)


def _invitation(who: Reached) -> Invitation | None:
    try:
        return etcd_machine.invitation(who.host, who.host.dial)
    except errors.KubebootError:
        return None


def _begun(members: Mapping[str, Reached]) -> str | None:
    """The first member that has not come to answer yet; more than one say that there was an etcd."""
    if len(members) > 1:
        raise errors.Unreachable(
            f"{', '.join(members)} are etcd machines, and none of them answers",
            hint="bring etcd back first; `kubeboot doctor` on one of them says what is wrong",
            reason="KB_ETCD_SILENT",
        )
    return next(iter(members), None)
