"""The lab's machines as data: names, subnets, descriptions, what is asked of Docker and Vagrant."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click import testing
from hypothesis import given
from hypothesis import strategies as st
from lablib import (
    machine_docker,
    machine_host,
    machine_image,
    machine_inventory,
    machine_labs,
    machine_logs,
    machine_share,
    machine_state,
    main,
    tools,
)
from lablib.machine_state import Lab, Machine

from kubeboot import errors
from kubeboot.inventory import ansible

TOP = Path(__file__).parents[2]
ROUTES = """\
default via 172.16.0.1 dev eth0
10.1.0.0/16 dev wg0 scope link
172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1 linkdown
local 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1
local 192.168.56.1 dev br-1 table local proto kernel scope host src 192.168.56.1
broadcast 192.168.57.255 dev br-2 table local proto kernel scope link src 192.168.57.1
"""
SSH_CONFIG = """\
Host cp-1
  HostName 127.0.0.1
  User vagrant
  Port 32768
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  IdentityFile /home/u/.vagrant.d/insecure_private_key

Host worker-1
  HostName 127.0.0.1
  User vagrant
  Port 32770
  IdentityFile /home/u/.vagrant.d/insecure_private_key
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBEBOOT_LAB_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def lab(name: str = "lab", control_planes: int = 1, workers: int = 1, **changes: str) -> Lab:
    made = Lab(name, "docker", str(TOP), "192.168.56.0/24", "image:1")
    machines_ = machine_state.layout(made.subnet, control_planes, workers)
    return dataclasses.replace(made, machines=machines_, **changes)


# ---- names and addresses


@given(
    st.integers(0, 9), st.integers(0, 99), st.sampled_from(list(machine_state.POOL[0].subnets(new_prefix=24)))
)
def test_every_machine_has_its_own_name_and_its_own_address_in_the_subnet(
    control_planes: int, workers: int, subnet: ipaddress.IPv4Network
) -> None:
    made = machine_state.layout(str(subnet), control_planes, workers)
    assert [m.role for m in made].count("control_plane") == control_planes
    assert len({m.name for m in made}) == len({m.address for m in made}) == control_planes + workers
    hosts = set(subnet.hosts())
    assert all(ipaddress.IPv4Address(m.address) in hosts for m in made)
    gateway = str(subnet.network_address + 1)
    assert gateway not in {m.address for m in made}


def test_a_lab_that_grows_keeps_the_machines_that_it_has() -> None:
    small = machine_state.layout("192.168.56.0/24", 1, 2)
    large = machine_state.layout("192.168.56.0/24", 3, 4)
    assert set(small) < set(large)
    assert small[0] == Machine("cp-1", "control_plane", "192.168.56.11")


def test_asking_for_fewer_machines_removes_none() -> None:
    three = lab(workers=2)
    assert machine_labs._described(three, 1, 0, 0) == three
    more = machine_labs._described(three, 3, 1, 0)
    assert [m.name for m in more.machines] == ["cp-1", "cp-2", "cp-3", "worker-1", "worker-2"]
    assert machine_labs._described(three, 1, 1, 1).machines[1].name == "lb-1"


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a/b", "..", "a" * 33, "lab\n"])
def test_a_name_that_some_program_would_choke_on_is_refused(name: str) -> None:
    with pytest.raises(errors.UsageProblem):
        machine_state.check_name(name)


@pytest.mark.parametrize("name", ["a", "lab", "test-4711", "a" * 32])
def test_usual_names_are_names(name: str) -> None:
    assert machine_state.check_name(name) == name


# ---- subnets


@given(st.lists(st.sampled_from([str(s) for p in machine_state.POOL for s in p.subnets(new_prefix=24)])))
def test_a_subnet_that_is_taken_is_never_chosen(taken: list[str]) -> None:
    chosen = list(machine_state.free_subnets(taken))
    assert not set(chosen) & set(taken)
    assert len(chosen) == 8 + 64 - len(set(taken))


@pytest.mark.parametrize("taken", ["192.168.0.0/16", "192.168.56.0/23", "192.168.56.77", "192.168.56.128/25"])
def test_overlapping_is_enough_to_be_taken(taken: str) -> None:
    assert "192.168.56.0/24" not in list(machine_state.free_subnets([taken]))


def test_machines_and_a_clusters_usual_networks_do_not_overlap() -> None:
    for usual in ("10.244.0.0/16", "10.96.0.0/12", "10.0.2.0/24"):
        assert not any(ipaddress.ip_network(usual).overlaps(block) for block in machine_state.POOL)


def test_every_route_but_the_default_takes_its_network() -> None:
    found = machine_state.routed(ROUTES)
    assert found == ["10.1.0.0/16", "172.17.0.0/16", "192.168.56.1", "192.168.57.255"]
    assert next(machine_state.free_subnets(found)) == "192.168.58.0/24"


def test_what_docker_and_other_labs_use_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_state.save(lab(subnet="192.168.60.0/24"))
    networks = [
        {"IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}, {"Subnet": "fd00::/64"}]}},
        {"IPAM": {"Config": None}},
    ]
    said = {
        "ip -4 route show table all": ROUTES,
        "docker network ls --quiet": "aa\nbb\n",
        "docker network inspect aa bb": json.dumps(networks),
    }
    monkeypatch.setattr(tools, "run", lambda argv: said[" ".join(argv)])
    taken = machine_docker.taken_subnets()
    assert {"192.168.60.0/24", "172.18.0.0/16", "10.1.0.0/16"} <= set(taken)
    assert not any(":" in each for each in taken)


def test_a_network_that_docker_refuses_is_not_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: list[str]) -> str:
        if "192.168.56.0/24" in argv:
            raise errors.KubebootError("no", output="Pool overlaps with other one on this address space")
        return "id\n"

    monkeypatch.setattr(tools, "run", run)
    subnets = ["192.168.56.0/24", "192.168.57.0/24"]
    assert machine_docker.create_network("kubeboot-a", "a", subnets) == "192.168.57.0/24"
    with pytest.raises(errors.KubebootError, match="no free subnet"):
        machine_docker.create_network("kubeboot-a", "a", subnets[:1])


# ---- state


def test_a_lab_is_remembered_as_it_was() -> None:
    machine_state.save(lab("one"))
    machine_state.save(lab("two", workers=3))
    assert machine_state.load("two") == lab("two", workers=3)
    assert machine_state.names() == ["one", "two"]
    assert machine_state.load("three") is None


def test_two_commands_do_not_change_one_lab_at_once() -> None:
    with machine_state.locked("a"), machine_state.locked("b"):
        again = machine_state.locked("a")
        with pytest.raises(errors.Occupied, match="`a`"):
            again.__enter__()
    with machine_state.locked("a"):
        pass


def test_another_checkouts_lab_is_left_alone(tmp_path: Path) -> None:
    machine_state.save(lab("mine"))
    machine_state.save(lab("theirs", checkout=str(tmp_path)))
    machine_state.save(lab("orphan", checkout=str(tmp_path / "gone")))
    assert machine_labs._load_own("mine") == lab("mine")
    assert machine_labs._load_own("orphan") is not None
    for refused in (
        lambda: machine_labs.down("theirs"),
        lambda: machine_labs.up("theirs", 1, 0, "docker", None),
    ):
        with pytest.raises(errors.Occupied, match=re.escape(str(tmp_path))):
            refused()
    assert machine_state.names() == ["mine", "orphan", "theirs"]


# ---- the Docker daemon


DOCKER = """#!/bin/sh
[ "$1" = ps ] && exec cat "$0.running"
[ -e "$0.answers" ]
"""
DOCKERD = """#!/bin/sh
cd "$(dirname "$0")" || exit
trap 'rm -f docker.answers; exit' TERM
echo started
touch docker.answers
while :; do sleep 0.05; done
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker command and its daemon, neither of them Docker's."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, text in {"docker": DOCKER, "dockerd": DOCKERD, "docker.running": ""}.items():
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setattr(machine_host, "SYSTEMD", tmp_path / "none")
    monkeypatch.setattr(machine_host, "as_root", lambda *argv: list(argv))
    return bin_


def test_a_daemon_that_the_lab_started_is_the_one_that_it_ends(docker: Path, state: Path) -> None:
    machine_host.ensure_docker()
    pid = int((state / "dockerd.pid").read_text().split()[0])
    machine_host.ensure_docker()
    assert (state / "dockerd.log").read_text() == "started\n", "it was started twice"

    (docker / "docker.running").write_text("a-container\n")
    machine_host.stop_docker()
    assert machine_host.started(pid), "somebody's container ran on it"

    (docker / "docker.running").write_text("")
    with machine_host.docker_in_use():
        machine_host.stop_docker()
    assert machine_host.started(pid), "somebody was about to use it"

    machine_host.stop_docker()
    assert not machine_host.started(pid)
    assert os.waitpid(pid, 0)[0] == pid
    assert not (state / "dockerd.pid").exists()
    machine_host.stop_docker()


def test_a_daemon_that_was_there_is_never_ended(docker: Path, state: Path) -> None:
    (docker / "docker.answers").touch()
    machine_host.ensure_docker()
    machine_host.stop_docker()
    assert not (state / "dockerd.pid").exists()


def test_another_process_with_the_daemons_number_is_left_alone(docker: Path, state: Path) -> None:
    state.mkdir()
    (state / "dockerd.pid").write_text(f"{os.getpid()} 1\n")
    machine_host.stop_docker()
    assert not (state / "dockerd.pid").exists()


# ---- the inventory


def test_the_inventory_has_the_usual_groups_and_how_to_reach_each_machine() -> None:
    made = machine_inventory.inventory(lab(), SSH_CONFIG)
    assert made["kube_control_plane"] == made["etcd"] == {"hosts": ["cp-1"]}
    assert made["kube_node"] == {"hosts": ["worker-1"]}
    variables = made["_meta"]["hostvars"]["worker-1"]
    assert variables["ansible_host"] == "127.0.0.1"
    assert variables["ansible_port"] == 32770
    assert variables["ansible_user"] == "vagrant"
    assert variables["ansible_ssh_private_key_file"] == "/home/u/.vagrant.d/insecure_private_key"
    assert variables["ip"] == "192.168.56.21"


def test_every_role_of_the_lab_has_a_group_that_kubeboot_knows() -> None:
    assert set(machine_inventory.GROUPS) <= set(ansible.GROUPS)


# ---- the command line


def invoke(*arguments: str) -> testing.Result:
    return testing.CliRunner().invoke(main.lab, arguments, catch_exceptions=True)


def test_every_command_is_where_the_table_says() -> None:
    context = click.Context(main.lab)
    assert [main.lab.get_command(context, name).name for name in main.COMMANDS] == [*main.COMMANDS]  # type: ignore[union-attr]
    assert main.lab.get_command(context, "none") is None


def test_the_inventory_needs_nothing_that_takes_long_to_import() -> None:
    code = "import sys; from lablib import main, machine_notes; print({*sys.modules} & {'paramiko', 'yaml'})"
    environment = {"PYTHONPATH": os.pathsep.join(map(str, (TOP, TOP / "vagrant")))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == b"set()\n"


def test_hosts_prints_names_addresses_and_roles() -> None:
    machine_state.save(lab())
    result = invoke("hosts")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == [
        {"name": "cp-1", "role": "control_plane", "address": "192.168.56.11"},
        {"name": "worker-1", "role": "worker", "address": "192.168.56.21"},
    ]


def test_a_lab_or_a_machine_that_is_not_there_is_a_mistake_in_the_command() -> None:
    assert isinstance(invoke("hosts", "--name", "none").exception, errors.UsageProblem)
    machine_state.save(lab())
    missing = invoke("ssh", "cp-9", "--", "true").exception
    assert isinstance(missing, errors.UsageProblem)
    assert missing.hint == "it has cp-1, worker-1"


@pytest.mark.parametrize(
    ("arguments", "argv"),
    [
        (["cp-1", "--", "ls", "-l", "a b"], ("ls", "-l", "a b")),
        (["cp-1", "kubectl", "get", "--name", "x"], ("kubectl", "get", "--name", "x")),
        (["cp-1", "ls | wc -l"], ("sh", "-c", "ls | wc -l")),
        (["cp-1", "--", "--help", "x"], ("--help", "x")),
    ],
)
def test_a_command_reaches_the_machine_as_it_was_given(
    arguments: list[str], argv: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Host:
        def run(self, argv: tuple[str, ...], *_streams: object) -> int:
            seen.append(argv)
            return 7

        def close(self) -> None:
            seen.append(("closed",))

    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr("lablib.machine_vagrant.connect", lambda lab, machine: Host())
    machine_state.save(lab())
    assert invoke("ssh", *arguments).exit_code == 7
    assert seen == [argv, ("closed",)]


# ---- what machines are made of


def test_scripts_are_scripts_and_all_of_them_count_for_the_images_name() -> None:
    for script in ("entrypoint", "prepare", "box", "customise"):
        text = (machine_image.FILES / script).read_text()
        assert text.startswith("#!/bin/sh\n")
        subprocess.run(["sh", "-n"], input=text.encode(), check=True)
    copied = re.findall(r"^COPY (.*) \S+$", (machine_image.FILES / "Dockerfile").read_text(), re.MULTILINE)
    assert {name for line in copied for name in line.split()} | {"Dockerfile"} == {
        path.name for path in machine_image.FILES.iterdir()
    }


def test_the_machines_see_kubeboot_where_the_lab_puts_it() -> None:
    vagrantfile = (TOP / "vagrant" / "Vagrantfile").read_text()
    prepare = (machine_image.FILES / "prepare").read_text()
    assert f'SHARE = "{machine_state.SHARE}"' in vagrantfile
    assert f"share={machine_state.SHARE}\n" in prepare
    assert "bundle: $share/bundle.tar" in prepare


def test_the_log_collector_is_a_script_that_asks_for_no_key(tmp_path: Path) -> None:
    script = machine_logs.script()
    subprocess.run(["sh", "-n"], input=script.encode(), check=True)
    for secret in ("/pki", "admin.conf", "super-admin", "secrets"):
        assert secret not in script


# ---- the share: kubeboot's code on the machines


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose wheel and packages are made by hand instead of by pip."""
    top = tmp_path / "checkout"
    for name, text in {"pyproject.toml": "", "README.md": "", "kubeboot/a.py": "one"}.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    packages = tmp_path / "packages-0123"
    packages.mkdir()
    (packages / "click.py").write_text("click")
    monkeypatch.setattr(machine_share, "_packages", lambda checkout, image: packages)

    def unpack(target: Path, checkout: Path, image: str) -> None:
        shutil.copytree(checkout / "kubeboot", target / "kubeboot")

    monkeypatch.setattr(machine_share, "_unpack_wheel", unpack)
    return top


def paths_of(share: Path) -> list[str]:
    return re.findall(rf"'{machine_state.SHARE}/([^']+)'", (share / "bin/kubeboot").read_text())


def test_the_script_names_the_newest_code_before_the_packages(checkout: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    machine_share.refresh(share, checkout, "image", None)
    code, packages = paths_of(share)
    assert (share / code / "kubeboot/a.py").read_text() == "one"
    assert (share / packages / "click.py").read_text() == "click"
    assert stat.S_IMODE((share / "bin/kubeboot").stat().st_mode) == 0o755
    compile((share / "bin/kubeboot").read_text(), "kubeboot", "exec")


def test_a_refresh_changes_nothing_if_nothing_changed(checkout: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    machine_share.refresh(share, checkout, "image", None)
    before = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in share.rglob("*")}
    machine_share.refresh(share, checkout, "image", None)
    assert before == {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in share.rglob("*")}


def test_new_code_leaves_the_code_before_it_to_those_who_run_it(checkout: Path, tmp_path: Path) -> None:
    share, seen = tmp_path / "share", []
    for text in ("one", "two", "three"):
        (checkout / "kubeboot/a.py").write_text(text)
        machine_share.refresh(share, checkout, "image", None)
        seen.append(paths_of(share)[0])
        assert (share / seen[-1] / "kubeboot/a.py").read_text() == text
    assert not (share / seen[0]).exists()
    assert (share / seen[1]).exists()


def test_a_changed_bundle_replaces_the_one_before(checkout: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    for text in ("first", "second"):
        bundle = tmp_path / text
        bundle.write_text(text)
        machine_share.refresh(share, checkout, "image", bundle)
        assert (share / "bundle.tar").read_text() == text
        assert (share / "bundle.tar").samefile(bundle)


# ---- Vagrant


@pytest.mark.skipif(shutil.which("ruby") is None, reason="needs ruby, which comes with Vagrant")
def test_the_vagrantfile_is_ruby() -> None:
    done = subprocess.run(
        ["ruby", "-c", str(TOP / "vagrant" / "Vagrantfile")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("script", ["vagrant/demo", "inventories/lab"])
def test_shell_programs_can_be_run_and_parsed(script: str) -> None:
    path = TOP / script
    assert os.access(path, os.X_OK)
    subprocess.run([path.read_text().split("\n")[0].split("/")[-1].split()[-1], "-n", str(path)], check=True)
