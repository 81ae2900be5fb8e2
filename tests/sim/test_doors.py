"""What a person is asked at the door: once each, and never instead of a check."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot.fleet import logins, reach
from kubeboot.fleet.doors import Door
from kubeboot.fleet.reach import Crew
from kubeboot.host.ssh import hostkeys
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Deadlines
from kubeboot.host.ssh.questions import UnknownHostKey
from kubeboot.inventory import known_keys
from kubeboot.inventory.model import Access, Machine
from tests.fakes import sshd as servers
from tests.fakes import swarm
from tests.fakes.sshd import Sshd
from tests.sim.ssh_trouble import SUDO
from tests.unit.cli_support import Ran, run


class Person:
    """Answers, and remembers what was asked."""

    def __init__(self, *, believes: bool = True, secret: str | None = None) -> None:
        self.believes, self.word = believes, secret
        self.shown: list[UnknownHostKey] = []
        self.asked: list[str] = []

    def believe(self, key: UnknownHostKey, file: Path) -> bool:
        self.shown.append(key)
        return self.believes

    def secret(self, what: str) -> str | None:
        self.asked.append(what)
        return self.word


def machine(sshd: Sshd, name: str = "machine", **more: object) -> Machine:
    config = sshd.folder / "config"
    config.write_text(sshd.ssh_config.replace("Host machine", "Host *"))
    return Machine(name, frozenset({"worker"}), Access(config=str(config), **more))  # type: ignore[arg-type]


def reached(machines: list[Machine], person: Person, file: Path, **more: str) -> Crew:
    door = Door(file, person.believe, person.secret, **more)
    with reach.crew(machines, lambda event: None, door) as crew:
        return crew


def test_an_unknown_host_key_is_asked_about_once_and_remembered(sshd: Sshd, tmp_path: Path) -> None:
    (sshd.folder / "known_hosts").write_text("")
    file, person = tmp_path / "state" / "known_hosts", Person()
    machines = [machine(sshd, name) for name in ("one", "two", "three")]
    assert len(reached(machines, person, file).reached) == 3
    assert [key.fingerprint[:19] for key in person.shown] == ["ssh-ed25519 SHA256:"]
    nobody = Person(believes=False)
    assert len(reached(machines, nobody, file).reached) == 3
    assert nobody.shown == []


def test_a_refused_host_key_is_refused_for_every_machine_and_not_kept(sshd: Sshd, tmp_path: Path) -> None:
    (sshd.folder / "known_hosts").write_text("")
    person = Person(believes=False)
    crew = reached([machine(sshd, name) for name in ("one", "two")], person, tmp_path / "known")
    assert {error.reason for error in crew.lost.values()} == {"KB_HOST_KEY"}
    assert len(person.shown) == 1
    assert not (tmp_path / "known").exists()
    assert "Accepted" not in (sshd.folder / "log").read_text()


def test_a_key_that_changed_is_no_question(sshd: Sshd, tmp_path: Path) -> None:
    sshd.make_key("other_key")
    key = " ".join((sshd.folder / "other_key.pub").read_text().split()[:2])
    file, person = tmp_path / "known", Person()
    file.write_text(f"[127.0.0.1]:{sshd.port} {key}\n")
    crew = reached([machine(sshd)], person, file)
    assert crew.lost["machine"].reason == "KB_HOST_KEY"
    assert person.shown == []


def test_a_locked_key_is_opened_once_for_all(sshd: Sshd, tmp_path: Path) -> None:
    sshd.make_key("client_key", "geheim")
    (sshd.folder / "authorized_keys").write_text((sshd.folder / "client_key.pub").read_text())
    machines = [machine(sshd, name) for name in ("one", "two", "three")]
    person = Person(secret="geheim")
    assert len(reached(machines, person, tmp_path / "known").reached) == 3
    assert person.asked == [f"the passphrase of {sshd.folder}/client_key"]
    wrong = Person(secret="gemein")
    lost = reached(machines, wrong, tmp_path / "known").lost
    assert len(wrong.asked) == 1
    assert all("not opened by the passphrase" in str(error) for error in lost.values())


@pytest.fixture
def with_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """A user who is not root, and a sudo that wants a password."""
    (tmp_path / "sudo").write_text(f'#!/bin/sh\n[ "$1" != -n ] || shift 2\n{SUDO}')
    (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setattr("kubeboot.host.ssh.starting.ROOT", "nobody-at-all")
    with servers.running(tmp_path / "sshd", environment=f"PATH={tmp_path}:/usr/bin:/bin") as server:
        yield server


def test_sudos_password_is_asked_for_once_and_never_tried_twice(with_sudo: Sshd, tmp_path: Path) -> None:
    machines = [machine(with_sudo, name) for name in ("one", "two", "three")]
    person = Person(secret="geheim es")
    assert len(reached(machines, person, tmp_path / "known").reached) == 3
    assert len(person.asked) == 1
    assert "for sudo" in person.asked[0]
    (with_sudo.folder / "words").unlink()
    wrong = Person(secret="falsch")
    lost = reached(machines, wrong, tmp_path / "known").lost
    assert {error.reason for error in lost.values()} == {"KB_SUDO"}
    assert len(wrong.asked) == 1
    assert (with_sudo.folder / "words").read_text() == "falsch\n" * 3
    assert "falsch" not in " ".join(map(str, lost.values()))


def test_a_machines_own_password_comes_before_the_asked_one(with_sudo: Sshd, tmp_path: Path) -> None:
    own = machine(with_sudo, sudo_password="geheim es")
    crew = reached([own], Person(), tmp_path / "known", sudo_password="another")
    assert (with_sudo.folder / "words").read_text() == "geheim es\n"
    assert [one.name for one in crew.reached] == ["machine"]


def described(sshd: Sshd, folder: Path, **ssh: str) -> str:
    """A Cluster file with this machine in it."""
    options = {"UserKnownHostsFile": f"{sshd.folder}/known_hosts", "IdentitiesOnly": "yes"}
    access = {"host": "127.0.0.1", "port": sshd.port, "keyFile": f"{sshd.folder}/client_key", **ssh}
    host = {"name": "cp-1", "role": "control-plane", "ssh": {**access, "options": options}}
    document = {"apiVersion": "kubeboot.io/v1alpha1", "kind": "Cluster", "hosts": [host]}
    (folder / "cluster.yaml").write_text(json.dumps(document))
    return str(folder / "cluster.yaml")


def execute(sshd: Sshd, folder: Path, *flags: str, stdin: str = "", tty: bool = False, **ssh: str) -> Ran:
    """`kubeboot exec` of a command that any machine has."""
    words = ("exec", "--config", described(sshd, folder, **ssh), *flags, "--", "echo", "done")
    return run(*words, stdin=stdin, tty=tty, env={"XDG_STATE_HOME": str(folder / "state")})


def test_a_host_key_is_believed_when_a_person_says_yes(sshd: Sshd, tmp_path: Path) -> None:
    (sshd.folder / "known_hosts").write_text("")
    for stdin, tty in (("yes\n", False), ("no\n", True), ("\n", True)):
        ran = execute(sshd, tmp_path, stdin=stdin, tty=tty)
        assert (ran.code, "done" in ran.out) == (1, False)
        assert "SHA256:" in ran.err
    ran = execute(sshd, tmp_path, stdin="yes\n", tty=True)
    assert (ran.code, ran.out) == (0, "cp-1  done\n")
    assert f"127.0.0.1]:{sshd.port}" in (tmp_path / "state/kubeboot/kubernetes/known_hosts").read_text()
    again = execute(sshd, tmp_path)
    assert (again.code, again.err) == (0, "")


def test_a_flag_believes_what_it_shows(sshd: Sshd, tmp_path: Path) -> None:
    (sshd.folder / "known_hosts").write_text("")
    ran = execute(sshd, tmp_path, "--accept-new-host-keys")
    shown = hostkeys.fingerprint(hostkeys.public_key((sshd.folder / "host_key.pub").read_text()))
    assert (ran.code, ran.out) == (0, "cp-1  done\n")
    assert shown in ran.err


def test_a_pin_of_the_cluster_file_is_no_question(sshd: Sshd, tmp_path: Path) -> None:
    ran = execute(sshd, tmp_path, "--accept-new-host-keys", hostKey=f"SHA256:{'x' * 43}")
    assert ran.code == 1
    assert "the known one is SHA256:xxx" in ran.err
    odd = execute(sshd, tmp_path, hostKey="whatever")
    assert (odd.code, "neither a public key nor a fingerprint" in odd.err) == (4, True)


@pytest.mark.parametrize("where", ["stdin", "terminal"])
def test_sudos_password_is_in_no_log_and_no_argv(
    with_sudo: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt: "geheim es")
    if where == "stdin":
        ran = execute(with_sudo, tmp_path, "--sudo", "-K", stdin="geheim es\nmore\n")
    else:
        ran = execute(with_sudo, tmp_path, "--sudo", tty=True)
    assert (ran.code, ran.out) == (0, "cp-1  done\n")
    assert "geheim" not in f"{ran.err}{ran.log}{(with_sudo.folder / 'log').read_text()}"


def test_without_a_terminal_the_flag_is_named(with_sudo: Sshd, tmp_path: Path) -> None:
    ran = execute(with_sudo, tmp_path, "--sudo")
    assert ran.code == 1
    assert "wants the password" in ran.err
    assert "hint: run the same command with --ask-sudo-password" in ran.err
    nothing = execute(with_sudo, tmp_path, "--sudo", "-K")
    assert (nothing.code, "no line left" in nothing.err) == (2, True)


def test_the_timeout_scale_stretches_every_ssh_deadline(tmp_path: Path) -> None:
    door = Door(tmp_path / "known_hosts", Person().believe, Person().secret, timeout_scale=3.0)
    host = door(Machine("w-1", frozenset({"worker"}), Access(host="192.0.2.1")))
    assert isinstance(host, SshHost)
    found, usual = host.connection.how.deadlines, Deadlines()
    assert (found.absence, found.login, found.scale) == (3 * usual.absence, 3 * usual.login, 3.0)
    assert found.keepalive == usual.keepalive


def test_another_workstation_knows_the_host_keys_that_the_first_one_believed(
    sshd: Sshd, tmp_path: Path
) -> None:
    """And asks about none of them, and lets no other machine pass for one."""
    one, first, person = machine(sshd), Person(), Person()
    with reach.approach([one], lambda event: None, Door(tmp_path / "a", first.believe, first.secret)) as way:
        way.crew([one])
        told = known_keys.by_name(way.verified_keys())
    (sshd.folder / "known_hosts").write_text("")
    door = Door(tmp_path / "b", person.believe, person.secret)
    door.trust(told)
    with reach.crew([one], lambda event: None, door) as crew:
        assert crew.lost == {}
    sshd.stop()
    sshd.make_key("host_key")
    sshd.start()
    with reach.crew([one], lambda event: None, door) as crew:
        assert crew.lost["machine"].reason == "KB_HOST_KEY"
    assert person.shown == [] and not (tmp_path / "b").exists()


def test_dead_machines_behind_a_jump_host_hold_up_nobody_who_comes_by_it(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "AT_A_GATE", 1)
    monkeypatch.setattr(logins, "Deadlines", lambda: Deadlines(connect=120.0))
    with servers.running(tmp_path / "gate", "gate") as gate, contextlib.ExitStack() as silence:
        port = silence.enter_context(swarm.silent())
        text = sshd.ssh_config.replace(f"Port {sshd.port}", "")
        (tmp_path / "config").write_text(
            f"{text.replace('Host machine', 'Host alive dead-*')}{gate.ssh_config}"
        )
        jump, config = (("ProxyJump", "gate"),), str(tmp_path / "config")
        ports = {"dead-1": port, "dead-2": port, "dead-3": port, "alive": sshd.port}
        machines = [
            Machine(name, frozenset({"worker"}), Access(port=at, options=jump, config=config))
            for name, at in ports.items()
        ]
        person, came = Person(), list[str]()

        def visit(machine: Machine) -> None:
            """Who is dead refuses once the others are through: it would take two minutes to be given up."""
            try:
                way.reach(machine)
            finally:
                came.append(machine.name)
                if machine.name == "alive":
                    silence.close()

        door = Door(tmp_path / "known", person.believe, person.secret)
        with reach.approach(machines, lambda event: None, door) as way:
            _, lost = reach.each({machine.name: machine for machine in machines}, visit)
    assert came[0] == "alive" and lost.keys() == {"dead-1", "dead-2", "dead-3"}
