"""Three control planes and two workers from booted machines: by `kubeboot up`, and by local commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.bench import failover_cluster, machines, observe, versus
from tests.bench.machines import TOP, Failed, Machine
from tests.bench.versus import Contest, Sample

PLANES, WORKERS = 3, 2


def main(argv: Sequence[str]) -> int:
    """0 when `up` holds the bar."""
    return versus.main(CONTEST, argv)


def sample(name: str) -> Sample:
    """Fresh machines; nothing has been prepared on them."""
    with machines.booted(WORKERS, f"up-{name}", control_planes=PLANES) as lab:
        return versus.timed(lambda: WAYS[name](lab), lambda: lacking(lab), "every Node")


def up(lab: Mapping[str, Machine]) -> None:
    """From an inventory alone."""
    container = lab["cp-1"].container
    name = container.removeprefix("kubeboot-").removesuffix("-cp-1")
    command = (sys.executable, "-m", "kubeboot", "up", "-i", str(TOP / "inventories" / "lab"))
    environment = machines.workstation(KUBEBOOT_LAB=name)
    argv = (*command, *failover_cluster.SHARED_DISK)
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"up: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def local(lab: Mapping[str, Machine]) -> None:
    """init on the first machine; then every other one joins at the same moment."""
    _, result = failover_cluster.ran(lab["cp-1"], ["kubeboot", "init", "--upload-certs"])
    joins = {
        machine: result["controlPlaneJoinCommand" if machine.name.startswith("cp-") else "joinCommand"]
        for name, machine in lab.items()
        if name != "cp-1"
    }
    with ThreadPoolExecutor(len(joins)) as pool:
        list(
            pool.map(lambda pair: pair[0].run(*pair[1].split(), *failover_cluster.SHARED_DISK), joins.items())
        )


WAYS: dict[str, Callable[[Mapping[str, Machine]], None]] = {"local": local, "up": up}
CONTEST = Contest(
    prog="tests/bench/up",
    about=__doc__,
    what=f"{PLANES}+{WORKERS} Ready",
    ways=("local", "up"),
    ours="up",
    bar=1.3,
    sample=sample,
    more={"controlPlanes": PLANES, "workers": WORKERS},
)


def lacking(lab: Mapping[str, Machine]) -> str | None:
    """Who is not Ready yet."""
    api = observe.Api(lab["cp-1"])
    asked = {name: api.ask("GET", f"/api/v1/nodes/{name}") for name in lab}
    bad = [n for n, (status, node) in asked.items() if status != 200 or not failover_cluster.is_ready(node)]
    return f"{', '.join(bad)} not Ready" if bad else None
