"""The tutorial, run as it stands but for its number of trials: from a CSV file to predictions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.checkout import ROOT
from tests.processes import address_of, hpsearch, running

_MARK = "<!-- run by tests/docs/test_tutorial.py -->\n"
_STEP = re.compile(re.escape(_MARK) + r"```(sh|yaml)\n(.*?)```", flags=re.DOTALL)


@pytest.mark.slow
def test_the_tutorial_ends_with_predictions(tmp_path: Path):
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    script = ["set -euo pipefail"]
    for language, text in _STEP.findall(page):
        if language == "yaml":
            assert "max_trials: 20" in text
            script.append(f"cat > study.yaml <<'END'\n{text.replace('max_trials: 20', 'max_trials: 3')}END")
        else:
            script.append(text)
    assert len(script) == page.count(_MARK) + 1 > 5
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "checkout").mkdir()
    (tmp_path / "examples").rename(tmp_path / "checkout" / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    data = tmp_path / "data"
    # Each command would start a server of its own and stop it again; with one at work they take half the time.
    with running(hpsearch("serve", "--port", "0", "--data-dir", str(data)), tmp_path / "serve.log") as server:
        address_of(data, server, tmp_path / "serve.log")
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=tmp_path / "checkout", env={**os.environ, "PATH": path, "HPSEARCH_DATA_DIR": str(data)},
            capture_output=True, text=True, check=False, timeout=150,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    folder = tmp_path / "checkout" / "gym"
    predicted = (folder / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert predicted.pop(0) == "prediction"
    assert set(predicted) <= {"yes", "no"}
    assert len(predicted) == len((folder / "data.csv").read_text(encoding="utf-8").splitlines()) - 1
