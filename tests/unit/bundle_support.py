"""What a small bundle holds: three images, one of them as a registry gave it, and two binaries."""

from __future__ import annotations

import json

from kubeboot.artifacts import pack

SHARED = pack.Blob.of(b"shared layer " * 100)
OWN = pack.Blob.of(b"own layer " * 100)
PAUSE = pack.Blob.of(b'{"p":1}')
BROUGHT = {  # as a registry gave it: its bytes, and so its digest, are not kubeboot's own
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "digest": PAUSE.digest,
        "size": 7,
    },
    "layers": [
        {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": OWN.digest, "size": 1000}
    ],
}
MANIFEST = pack.Blob.of(json.dumps(BROUGHT, indent=3).encode())
KUBELET = b"\x7fELF kubelet " * 90
CONTENTS = pack.Contents(
    kubernetes_version="v1.37.1",
    arch="amd64",
    images=(
        pack.Image("etcd", "registry.k8s.io/etcd:3.7.3-0", pack.Blob.of(b'{"e":1}'), (SHARED, OWN)),
        pack.Image("coredns", "registry.k8s.io/coredns/coredns:v1", pack.Blob.of(b'{"c":1}'), (SHARED,)),
        pack.Image("pause", "registry.k8s.io/pause:3", PAUSE, (OWN,), MANIFEST, str(BROUGHT["mediaType"])),
    ),
    binaries=(
        pack.Binary("kubelet", "v1.37.1", "/usr/local/bin/kubelet", pack.Blob.of(KUBELET)),
        pack.Binary("cni-bridge", "v1.9.1", "/opt/cni/bin/bridge", pack.Blob.of(b"bridge")),
    ),
)
