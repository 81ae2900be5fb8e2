"""Which password is shown to which registry, and which file of passwords is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.artifacts import credentials


def login(tmp_path: Path, data: object, mode: int = 0o600) -> str:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(data))
    path.chmod(mode)
    return str(path)


AUTH = base64.b64encode(b"me:pass:word").decode()


def test_credentials_are_found_by_their_registry(tmp_path: Path) -> None:
    found = credentials.read(
        login(
            tmp_path,
            {
                "auths": {
                    "r.example:5000": {"auth": AUTH},
                    "https://q.example/v2/": {"username": "you", "password": "word"},
                    "https://index.docker.io/v1/": {"auth": AUTH},
                    "helper.example": {},
                }
            },
        )
    )
    assert found.basic("r.example:5000") == f"Basic {AUTH}"
    assert found.basic("q.example") == f"Basic {base64.b64encode(b'you:word').decode()}"
    assert found.basic("registry-1.docker.io") == f"Basic {AUTH}"
    assert found.basic("helper.example") is None and found.basic("r.example") is None
    assert "pass" not in repr(found)


@pytest.mark.parametrize(
    "data", [7, [], {}, {"auths": 7}, {"auths": {"r": 7}}, {"auths": {"r": {"auth": "%"}}}]
)
def test_credentials_that_are_none_are_refused(tmp_path: Path, data: object) -> None:
    with pytest.raises(errors.ConfigInvalid, match="is not a file of registry credentials"):
        credentials.read(login(tmp_path, data))


def test_credentials_for_everybody_are_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigInvalid, match="can be read by everybody") as caught:
        credentials.read(login(tmp_path, {"auths": {}}, 0o644))
    assert "chmod 600" in str(caught.value.hint)


def test_credentials_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigInvalid, match="none: cannot be read"):
        credentials.read(str(tmp_path / "none"))
