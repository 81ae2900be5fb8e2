"""Record what the real `kubeadm init --dry-run` writes for each example, as golden files.

    sudo python -m tests.unit.record_kubeadm PATH/TO/kubeadm

It runs in an empty root directory, so that it reads and writes nothing of this machine.
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from typing import Any

from kubeboot import render

GOLDEN = pathlib.Path(__file__).parent / "golden"
EXAMPLES = GOLDEN / "cli-kubeadm-examples"
RECORDED = GOLDEN / "kubeadm-dry-run"
PATCHES = GOLDEN / "kubeadm-patches"
PATCHES_PATH = "/home/user/somedir"
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
NAME, ADDRESS = "cp-1", "10.0.0.11"


def record(kubeadm: str, example: pathlib.Path) -> dict[str, Any] | None:
    """The manifests by component; None where kubeadm itself refuses the example."""
    with tempfile.TemporaryDirectory() as root:
        for directory in ("etc/kubernetes", "tmp", "home/user"):
            pathlib.Path(root, directory).mkdir(parents=True)
        shutil.copy(kubeadm, f"{root}/kubeadm")
        shutil.copy(example, f"{root}/config.yaml")
        shutil.copytree(PATCHES, f"{root}{PATCHES_PATH}")
        argv = ["chroot", root, "/kubeadm", "init", "--dry-run", "--config", "/config.yaml"]
        if "skipPhases" not in example.read_text():
            argv += ["--skip-phases", "preflight"]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        if ran.returncode:
            print(f"{example.name}: {ran.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return None
        (made,) = pathlib.Path(root, "etc/kubernetes/tmp").iterdir()
        return {p.stem: render.load(_own(p)) for p in sorted(made.glob("*.yaml")) if p.stem in COMPONENTS}


def _own(path: pathlib.Path) -> str:
    """The text with the name and the address that are everybody's, not those of the recording machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address = probe.getsockname()[0]
    text = path.read_text().replace(address, ADDRESS)
    return re.sub(rf"\b{re.escape(socket.gethostname().lower())}\b", NAME, text)


def main(kubeadm: str) -> None:
    for example in sorted(EXAMPLES.glob("*.yaml")):
        found = record(kubeadm, example) if "kind: JoinConf" not in example.read_text() else None
        if found is not None:
            (RECORDED / f"{example.stem}.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
