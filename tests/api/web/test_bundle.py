"""The chart library that is committed is the one its sources make."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

import api
from tests.required import lacking

_WEB = Path(api.__file__).parent / "web"
_SOURCES = _WEB / "charts"
_MAX_PACKED_BYTES = 350_000
_NOT_REBUILT = "THE CHART BUNDLE WAS NOT REBUILT"


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((_SOURCES / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: facts for name, facts in lock["packages"].items() if name}
    assert packages
    assert all("resolved" not in facts for facts in packages.values())
    assert all(facts["integrity"].startswith("sha512-") for facts in packages.values())


def test_a_first_visit_fetches_little() -> None:
    """All scripts and styles together, were one page to load them all."""
    files = [path for path in (_WEB / "static").iterdir() if path.suffix in (".js", ".css", ".svg")]
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in files) < _MAX_PACKED_BYTES


def test_every_library_comes_with_its_licence() -> None:
    bundle = (_WEB / "static" / "echarts.js").read_text(encoding="utf-8")
    licences = (_WEB / "static" / "echarts.LICENSE.txt").read_text(encoding="utf-8")
    for name in ("echarts", "zrender", "tslib"):
        assert f"{name} " in bundle[:200]
        assert f"\n{name} " in f"\n{licences}"
    assert "Apache License" in licences


def test_the_committed_bundle_is_of_these_sources() -> None:
    """Checked where there is no npm as well: whoever changes a source builds again."""
    sources = b"".join((_SOURCES / name).read_bytes() for name in ("echarts.mjs", "build.mjs", "package-lock.json"))
    first_line = (_WEB / "static" / "echarts.js").read_text(encoding="utf-8").partition("\n")[0]
    assert f"built from {hashlib.sha256(sources).hexdigest()[:16]} " in first_line, "run `make charts`"


@pytest.mark.slow
def test_the_committed_bundle_is_a_fresh_build(tmp_path: Path) -> None:
    npm = shutil.which("npm") or ""
    if not npm:
        lacking("NPM", f"{_NOT_REBUILT}: there is no npm on this machine")
    work, built = tmp_path / "charts", tmp_path / "static"
    built.mkdir()
    shutil.copytree(_SOURCES, work, ignore=shutil.ignore_patterns("node_modules"))
    fetched = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    if fetched.returncode:
        lacking("NPM", f"{_NOT_REBUILT}: npm could not fetch its packages: {fetched.stderr[-300:]}")
    subprocess.run(["node", "build.mjs", "--into", str(built)], cwd=work, check=True, capture_output=True)
    for name in ("echarts.js", "echarts.LICENSE.txt"):
        assert (built / name).read_bytes() == (_WEB / "static" / name).read_bytes(), f"{name}: run `make charts`"
