"""The closed table of commands that kubeboot runs on machines, for local and remote ones alike.

Nothing else in the project builds an argv for a machine. A script goes through `sh`, with what varies as
positional arguments: no value is ever part of a script's text.
"""

from __future__ import annotations

import functools
from importlib import resources

from kubeboot.host import facts, parse
from kubeboot.host.model import OURS, BareContainer, Container, EtcdTool, Image, Link
from kubeboot.host.runner import NOT_FOUND, Ask, Tell
from kubeboot.pki.endpoint import is_ip

UNIT_PROPERTIES = "LoadState,ActiveState,UnitFileState,MainPID,Result,NRestarts,NeedDaemonReload"
_CTR = ("ctr", "-n", "k8s.io")
ABSENT = 44
"""The exit status of our scripts for "there is no such thing"."""
ETCDUTL = f"{OURS}etcdutl"
"""The container that restores a snapshot; a killed run may have left one."""
_NO_CTR = (NOT_FOUND, ABSENT)
_NO_UNIT = (b"not loaded", b"does not exist")

_RUNNING = """\
listening=
while read -r line; do
    case $line in *" /run/containerd/containerd.sock") listening=1 ;; esac
done </proc/net/unix
[ "$listening" ] || exit 44
"""
"""`ctr` itself would wait ten seconds for a socket that nobody listens on."""

_ROUTE = f"""\
found=$(getent ahosts "$1") || exit {ABSENT}
exec ip -oneline route get "${{found%% *}}"
"""
"""`ip` resolves no names."""

_IMAGES = f"{_RUNNING}exec ctr -n k8s.io images ls\n"
_CONTAINERS = f"""\
{_RUNNING}ids=$(ctr -n k8s.io containers ls -q) || exit
for id in $ids; do ctr -n k8s.io containers info "$id" 2>/dev/null; done
echo "TASKS"
exec ctr -n k8s.io tasks ls
"""
_END_TASK = """\
ctr -n k8s.io tasks ls | while read -r id pid status; do
    [ "$id $status" = "$1 RUNNING" ] && kill -TERM "$pid" 2>/dev/null || continue
    left=100
    while [ -e "/proc/$pid" ] && [ "$left" -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
done
"""


def sh(name: str, script: str, *args: str) -> tuple[str, ...]:
    """The one door for shell text: a constant script, with `name` as $0 and the arguments as $1, $2 …"""
    return ("sh", "-c", script, name, *args)


def probe() -> Ask[facts.Facts]:
    """All facts of a machine."""
    script = resources.files("kubeboot.host").joinpath("probe.sh").read_bytes()
    return Ask(("sh", "-s"), facts.parse, stdin=script)


def unit(name: str) -> Ask[dict[str, str]]:
    """A unit's properties."""
    return Ask(("systemctl", "show", f"--property={UNIT_PROPERTIES}", "--", name), parse.properties)


def images() -> Ask[tuple[Image, ...]]:
    """Images in the k8s.io namespace; none where containerd is not there or not running."""
    return Ask(sh("images", _IMAGES), parse.images, nothing=((),), statuses=_NO_CTR)


def containers() -> Ask[tuple[Container, ...]]:
    """Containers in the k8s.io namespace with their labels and main processes."""
    return Ask(sh("containers", _CONTAINERS), parse.containers, nothing=((),), statuses=_NO_CTR)


def links() -> Ask[tuple[Link, ...]]:
    """Network interfaces."""
    return Ask(("ip", "-details", "-json", "address", "show"), parse.links)


def route_source(host: str) -> Ask[str | None]:
    """The source address that the machine would use towards an address, or a name as the machine knows it."""
    argv = ("ip", "-oneline", "route", "get", host) if is_ip(host) else sh("route", _ROUTE, host)
    words = (b"unreachable", b"No route")
    return Ask(argv, parse.route_source, nothing=(None,), words=words, statuses=(ABSENT,))


def nft_tables() -> Ask[tuple[tuple[str, str], ...]]:
    """nftables' tables as (family, name)."""
    return Ask(("nft", "list", "tables"), parse.nft_tables, nothing=((),), statuses=(NOT_FOUND,))


def journal_tail(name: str, lines: int) -> Ask[str]:
    """A unit's last words."""
    return Ask(
        ("journalctl", "--unit", name, "--lines", str(lines), "--no-pager", "--quiet", "--output", "cat"),
        lambda out: out.decode(errors="replace").rstrip("\n"),
    )


def daemon_reload() -> Tell:
    return Tell(("systemctl", "daemon-reload"))


def _unit_verb(verb: str, words: tuple[bytes, ...], name: str) -> Tell:
    return Tell(("systemctl", verb, "--", name), words)


start = functools.partial(_unit_verb, "start", ())
restart = functools.partial(_unit_verb, "restart", ())
stop = functools.partial(_unit_verb, "stop", _NO_UNIT)
enable = functools.partial(_unit_verb, "enable", ())
disable = functools.partial(_unit_verb, "disable", _NO_UNIT)


def load_module(name: str) -> Tell:
    return Tell(("modprobe", "--", name))


def import_images(pinned: bool) -> Tell:
    """Reads an OCI layout from stdin. `--local`: three times as fast as the daemon's transfer service."""
    label = ("--label", "io.cri-containerd.pinned=pinned") if pinned else ()
    return Tell((*_CTR, "images", "import", "--local", *label, "-"), deadline=3600.0)


def remove_image(name: str) -> Tell:
    return Tell((*_CTR, "images", "rm", name), (b"not found",))


def remove_task(id: str) -> Tell:
    """Kill a container's processes."""
    return Tell((*_CTR, "tasks", "delete", "--force", id), (b"not found",))


def remove_container(id: str) -> Tell:
    """Drop the container and its snapshot; its task must be gone."""
    return Tell((*_CTR, "containers", "rm", id), (b"not found",))


def restore_snapshot(snapshot: str, to: str, tool: EtcdTool) -> Tell:
    """etcdutl from etcd's own image, without a network. Revisions go on far above the old ones, and the old
    ones count as compacted: who watches lists again, and nobody sees time run backwards."""
    folder, _, name = to.rpartition("/")
    words = ("etcdutl", "snapshot", "restore", "/snapshot.db", "--data-dir", f"/data/{name}",
             "--name", tool.member, "--initial-cluster", f"{tool.member}={tool.peer_url}",
             "--initial-advertise-peer-urls", tool.peer_url, "--initial-cluster-token", tool.token,
             "--bump-revision", "1000000000", "--mark-compacted")  # fmt: skip
    mounts = ("--mount", _mount(snapshot, "/snapshot.db", "ro"), "--mount", _mount(folder, "/data", "rw"))
    return Tell(
        (*_CTR, "run", "--rm", *mounts, tool.image, ETCDUTL, *words), deadline=1800.0, repeatable=False
    )


def start_container(container: BareContainer) -> Tell:
    """It outlives the command. In a control group of its own: one below `k8s.io` would leave that."""
    mounts = (word for mount in container.mounts for word in ("--mount", _mount(*mount)))
    words = ("--detach", "--net-host", "--cgroup", f"/{container.id}", "--log-uri", f"file://{container.log}")
    argv = (*_CTR, "run", *words, *mounts, container.image, container.id, *container.command)
    return Tell(argv, repeatable=False)


def end_task(id: str) -> Tell:
    """SIGTERM to a container's main process, and at most ten seconds for it."""
    return Tell(sh("end", _RUNNING + _END_TASK, id), statuses=(ABSENT,))


def _mount(path: str, to: str, mode: str) -> str:
    """ctr reads it as a line of CSV."""
    source = f"src={path}".replace('"', '""')
    return f'type=bind,"{source}",dst={to},options=rbind:{mode}'


def unmount(point: str, lazily: bool) -> Tell:
    flags = ("-l",) if lazily else ()
    return Tell(("umount", *flags, "--", point), (b"not mounted", b"no mount point", b"not found"))


def delete_link(name: str) -> Tell:
    return Tell(("ip", "link", "delete", "dev", name), (b"Cannot find device",))


def delete_address(address: str, link: str) -> Tell:
    gone = (b"Cannot assign requested address", b"Address not found", b"Cannot find device")
    return Tell(("ip", "address", "delete", address, "dev", link), gone)


def delete_nft_table(family: str, name: str) -> Tell:
    return Tell(("nft", "delete", "table", family, name), (b"No such file or directory",))
