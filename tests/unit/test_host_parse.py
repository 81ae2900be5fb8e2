"""Parsers against what the commands really printed (tests/unit/recorded)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kubeboot.host import answers, parse, scripts
from kubeboot.host.model import Container, Image, Listener, Mount, Process

RECORDED = Path(__file__).parent / "recorded"
HEX = "0123456789abcdef"


def recorded(name: str) -> bytes:
    return (RECORDED / name).read_bytes()


def test_a_running_unit_with_the_environment_it_was_started_with() -> None:
    shown = parse.properties(recorded("systemctl-252-show-kubelet.txt"))
    found = parse.unit("kubelet.service", shown, recorded("proc-environ-kubelet.bin"))
    assert (found.loaded, found.active, found.enabled, found.pid) == (True, "active", True, 478)
    assert (found.result, found.restarts) == ("success", 0)
    assert len(found.environment["KUBEBOOT_INPUTS"]) == 64
    assert found.environment["KUBELET_CONFIG_ARGS"].startswith(
        "--config=/var/lib/kubelet/config.yaml --config"
    )


def test_a_unit_that_is_not_there() -> None:
    shown = parse.properties(recorded("systemctl-252-show-not-found.txt"))
    found = parse.unit("no-such.service", shown, b"")
    assert (found.loaded, found.active, found.enabled, found.pid) == (False, "inactive", False, 0)
    assert found.environment == {}


@given(
    st.dictionaries(
        st.text("abcXYZ_", min_size=1), st.text(st.characters(codec="utf-8", exclude_characters="\0"))
    )
)
def test_an_environment_keeps_every_value(environment: dict[str, str]) -> None:
    raw = b"".join(f"{key}={value}\0".encode() for key, value in environment.items())
    assert parse.environment(raw) == environment


def test_images_with_their_digests_and_pins() -> None:
    found = {image.name: image for image in parse.images(recorded("ctr-2.3.7-images-ls.txt"))}
    assert found["registry.k8s.io/pause:3.10.2"].pinned
    assert not found["docker.io/library/httpd:latest"].pinned
    assert found["docker.io/library/httpd:latest"].digest.startswith("sha256:a1baf1de")
    assert not any(name.startswith("sha256:") for name in found), "CRI's second names are no images of ours"


def test_no_images() -> None:
    assert parse.images(b"REF TYPE DIGEST SIZE PLATFORMS LABELS \n") == ()


@given(st.lists(st.text(HEX, min_size=64, max_size=64), unique=True, max_size=5), st.booleans())
def test_any_image_line_is_understood(digests: list[str], pinned: bool) -> None:
    labels = "a=b,io.cri-containerd.pinned=pinned" if pinned else "-"
    lines = [f"r.io/n/{d[:9]}:v1   app/type sha256:{d} 1.2 MiB linux/amd64 {labels}   " for d in digests]
    expected = tuple(Image(f"r.io/n/{d[:9]}:v1", f"sha256:{d}", pinned) for d in digests)
    assert parse.images("\n".join(["REF TYPE DIGEST", *lines]).encode()) == expected


def test_containers_with_their_pods_and_processes() -> None:
    sandbox, etcd = parse.containers(recorded("ctr-2.3.7-containers-specs-trimmed.txt"))
    assert (etcd.name, etcd.pod, etcd.namespace, etcd.sandbox) == ("etcd", "etcd-cp-1", "kube-system", False)
    assert etcd.image == "registry.k8s.io/etcd:3.7.3-0"
    assert etcd.pid == 641
    assert (sandbox.name, sandbox.pod, sandbox.sandbox, sandbox.pid) == ("", "etcd-cp-1", True, 573)
    assert sandbox.labels["component"] == "etcd"


def test_a_container_whose_process_ended_has_no_pid() -> None:
    text = b'{"ID": "a", "Image": "i"}\nTASKS\nTASK PID STATUS\na 12 STOPPED\n'
    assert parse.containers(text) == (Container("a", "i"),)
    assert parse.containers(b"TASKS\nTASK    PID     STATUS    \n") == ()


def test_links_with_kinds_and_addresses() -> None:
    found = {link.name: link for link in parse.links(recorded("ip-6.1-node-address.json"))}
    assert (found["lo"].kind, found["lo"].addresses[0]) == ("loopback", "127.0.0.1/8")
    assert (found["flannel.1"].kind, found["flannel.1"].mtu) == ("vxlan", 1450)
    assert found["cni0"].kind == "bridge"
    assert found["eth1"].addresses == ("192.168.56.11/24",)
    assert found["eth1"].up
    down = {link.name: link.up for link in parse.links(recorded("ip-6.1-debian12-address.json"))}
    assert not down["ifb0"]


def test_the_source_of_a_route() -> None:
    line = b"8.8.8.8 via 10.0.2.2 dev eth0 src 10.0.2.15 uid 0 \\    cache \n"
    assert parse.route_source(line) == "10.0.2.15"
    assert parse.route_source(b"fd01::1 from :: via fd00::1 dev eth0 src fd00::2 metric 1024\n") == "fd00::2"
    assert parse.route_source(b"broken src") is None


def test_nftables_tables() -> None:
    found = parse.nft_tables(recorded("nft-1.0.6-list-tables.txt"))
    assert ("ip", "kube-proxy") in found
    assert ("ip6", "flannel-ipv6") in found
    assert parse.nft_tables(b"") == ()


def test_mounts_with_blanks_in_their_names() -> None:
    found = parse.mounts(recorded("proc-mounts-debian12.txt"))
    assert Mount("cgroup2", "/sys/fs/cgroup/unified", "cgroup2", ("rw", "relatime")) in found
    assert parse.mounts(b"/dev/sdb1 /mnt/a\\040b\\134c ext4 rw 0 0\n")[0].point == "/mnt/a b\\c"


def test_listening_sockets_of_both_families() -> None:
    four = dict(parse.sockets("tcp", recorded("proc-net-tcp-node.txt")))
    six = [entry for entry, _ in parse.sockets("tcp", recorded("proc-net-tcp6-node.txt"))]
    udp = [entry for entry, _ in parse.sockets("udp", recorded("proc-net-udp-node.txt"))]
    assert Listener("tcp", "192.168.56.11", 2380) in four
    assert Listener("tcp", "::", 10250) in six
    assert 8472 in {entry.port for entry in udp}
    assert all(inode.isdigit() for inode in four.values())


def test_an_ipv6_address_in_the_kernels_words() -> None:
    header = b"  sl  local_address\n"
    line = b"   0: 0000000000000000FFFF00000100007F:1F90 0:0 0A 00000000:00000000 00:0 0 0 0 77 1 0 100\n"
    assert parse.sockets("tcp", header + line) == ((Listener("tcp", "::ffff:127.0.0.1", 8080), "77"),)


def test_a_process_on_both_cgroup_versions() -> None:
    one = b"2:cpu:/a\n1:name=systemd:/kubepods.slice/b\n0::/\n"
    assert parse.process(7, b"etcd\n", one, b"etcd\0--name\0") == Process(
        7, "etcd", "/kubepods.slice/b", ("etcd", "--name")
    )
    assert parse.process(7, b"kthreadd\n", b"0::/x\n", b"") == Process(7, "kthreadd", "/x", ())
    assert parse.process(7, b"sshd\n", b"", b"sshd: root@notty\0\0\0").cmdline == ("sshd: root@notty",)


def test_the_remote_scripts_answers() -> None:
    sockets = b"NET tcp\n" + recorded("proc-net-tcp-node.txt") + b"NET udp6\nheader\n"
    _, inode = parse.sockets("tcp", recorded("proc-net-tcp-node.txt"))[0]
    listing = f"/proc/10/fd:\nlrwx 3 -> socket:[{inode}]\n/proc/9/fd:\nlrwx 4 -> socket:[{inode}]\n".encode()
    first = answers.listeners(sockets + b"OWNERS\n" + listing + b"NAMES\n9 haproxy\n10 a b\n")[0]
    assert (first.pid, first.process) == (9, "haproxy")
    some = answers.processes(b"10\0b\x000::/x\n\0b\x01--c\x01\x009\0a\0\0\0")
    assert some == (Process(9, "a", "", ()), Process(10, "b", "/x", ("b", "--c")))
    stat = answers.stat(b"a1ff 0 1 7\n../target\nwith newline")
    assert (stat.kind, stat.gid, stat.target) == ("link", 1, "../target\nwith newline")


def test_the_sum_of_an_append_is_that_of_its_data() -> None:
    assert hashlib.sha256(b"x").hexdigest() in scripts.append("/a", b"x", 0o600).argv
