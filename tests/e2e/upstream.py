"""A stand-in for upstream's servers, run on a machine of the lab: the bundle's bytes at their addresses.

    python3 upstream.py BUNDLE CERTIFICATE KEY PORT

Executables are packed into the archives that upstream publishes, images are served as a registry does.
It proves the way of real bytes over TLS, not that upstream's own servers answer like this.
"""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import json
import re
import ssl
import sys
import tarfile
from collections.abc import Mapping
from typing import ClassVar

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ARCHIVES = {
    "containerd": ("bin/containerd", "bin/containerd-shim-runc-v2", "bin/ctr"),
    "plugins": ("bridge", "loopback", "portmap", "host-local"),
}
Files = Mapping[str, bytes]


def main(bundle: str, certificate: str, key: str, port: str) -> None:
    """Serve until killed."""
    with tarfile.open(bundle) as tar:
        blobs = {
            f"sha256:{member.name.rpartition('/')[2]}": _read(tar, member)
            for member in tar
            if member.name.startswith("blobs/")
        }
        index = json.loads(_read(tar, tar.getmember("index.json")))
    Handler.files = _files(index, blobs)
    Handler.images = {**_images(index), "flannel-cni-plugin": _plugin(index, blobs)}
    Handler.blobs = blobs
    server = http.server.ThreadingHTTPServer(("0.0.0.0", int(port)), Handler)  # noqa: S104
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return stream.read() if stream is not None else b""


def _executables(index: Mapping[str, object], blobs: Files) -> Files:
    [entry] = [m for m in index["manifests"] if "artifactType" in m]  # type: ignore[attr-defined]
    layers = json.loads(blobs[entry["digest"]])["layers"]
    return {
        layer["annotations"]["org.opencontainers.image.title"]: blobs[layer["digest"]] for layer in layers
    }


def _files(index: Mapping[str, object], blobs: Files) -> Files:
    """By the project's word in the address: the file, or the archive that holds it."""
    have = _executables(index, blobs)
    return {
        **{name: have[name] for name in ("kubelet", "kubectl", "runc")},
        "containerd": _archive({m: have[m.removeprefix("bin/")] for m in ARCHIVES["containerd"]}),
        "plugins": _archive({m: have[f"cni-{m}"] for m in ARCHIVES["plugins"]}),
    }


def _images(index: Mapping[str, object]) -> Mapping[str, str]:
    return {
        m["annotations"]["kubeboot.io/component"]: m["digest"]
        for m in index["manifests"]  # type: ignore[attr-defined]
        if "annotations" in m
    }


def _plugin(index: Mapping[str, object], blobs: dict[str, bytes]) -> str:
    """The image that the flannel plugin is published in."""

    def hold(data: bytes, kind: str) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        blobs[digest] = data
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    layer = _archive({"flannel": _executables(index, blobs)["cni-flannel"]})
    config = hold(b'{"architecture":"amd64","os":"linux"}', "application/vnd.oci.image.config.v1+json")
    layers = [hold(layer, "application/vnd.oci.image.layer.v1.tar+gzip")]
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    return str(hold(json.dumps(body).encode(), MANIFEST)["digest"])


def _archive(files: Files) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), compresslevel=1)


class Handler(http.server.BaseHTTPRequestHandler):
    """GET alone: sums, files, manifests by tag or digest, blobs."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[Files] = {}
    images: ClassVar[Mapping[str, str]] = {}
    blobs: ClassVar[Files] = {}

    def do_GET(self) -> None:
        found = self._found(self.path)
        self.send_response(200 if found else 404)
        data, kind = found or (b"not here", "text/plain")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _found(self, path: str) -> tuple[bytes, str] | None:
        if path == "/v2/":
            return b"{}", "application/json"
        if image := re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/]+)", path):
            repository, what, reference = image.groups()
            return self._part(repository.rpartition("/")[2], what, reference)
        wanted = re.sub(r"\.sha256(sum)?$", "", path)
        names = [name for name in self.files if re.search(rf"/{name}(/|$)", wanted)]
        if len(names) != 1:
            return None
        data = self.files[names[0]]
        if wanted == path:
            return data, "application/octet-stream"
        return hashlib.sha256(data).hexdigest().encode(), "text/plain"

    def _part(self, component: str, what: str, reference: str) -> tuple[bytes, str] | None:
        digest = reference if ":" in reference else self.images.get(component, "")
        kind = MANIFEST if what == "manifests" else "application/octet-stream"
        return (self.blobs[digest], kind) if digest in self.blobs else None


if __name__ == "__main__":
    main(*sys.argv[1:])
