"""Make everything in dist/."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from packagelib import manpage, pyz

TOP = Path(__file__).parents[2]
DIST = TOP / "dist"


def main() -> None:
    """Wheel, sdist, kubeboot.pyz, kubeboot.1 and their sums; only these are in dist/ afterwards."""
    DIST.mkdir(exist_ok=True)
    for old in DIST.iterdir():
        old.unlink()
    subprocess.run((sys.executable, "-m", "hatchling", "build", "-d", str(DIST)), cwd=TOP, check=True)
    (own,) = DIST.glob("*.whl")
    pyz.build(own, pyz.wheels(TOP / "requirements.lock", pyz.cache()), DIST / "kubeboot.pyz")
    (DIST / "kubeboot.1").write_text(manpage.page())
    made = sorted(DIST.iterdir())
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made)
    (DIST / "SHA256SUMS").write_text("".join(sums))
    for path in made:
        print(f"{path.stat().st_size:>10,}  dist/{path.name}")


if __name__ == "__main__":
    main()
