"""The Python page and the notebook run as they stand, against a real server and worker."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from tests.architecture.checkout import ROOT
from tests.docs.blocks import blocks
from tests.e2e.stack import Stack

_PAGE = ROOT / "docs" / "python.md"
_NOTEBOOK = ROOT / "examples" / "notebook.ipynb"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_blocks_of_the_page_run_in_their_order(lab: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HPSEARCH_DATA_DIR", str(lab.folder))
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, block in enumerate(one for one in blocks(_PAGE) if one.language == "python"):
            exec(compile(block.text, f"{_PAGE.name}, block {number + 1}", "exec"), names)  # noqa: S102 - our own page
    assert set(names["fitted"].classes) == {0, 1, 2}
    assert names["study"].view.n_trials == 15
    assert names["after"].view.n_trials == 6
    assert {"wine.keras", "slice.html"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_the_notebook_runs(lab: Stack, tmp_path: Path):
    notebook: Any = nbformat.reads(_NOTEBOOK.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are stripped"
    os.environ["HPSEARCH_DATA_DIR"] = str(lab.folder)
    try:
        nbclient.NotebookClient(notebook, timeout=150, resources={"metadata": {"path": str(tmp_path)}}).execute()
    finally:
        del os.environ["HPSEARCH_DATA_DIR"]
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in shown if output.output_type == "error"]
    markup = "".join(output.data.get("text/html", "") for output in shown if "data" in output)
    assert "<progress" in markup, "the bar of wait()"
    assert "<caption>gym</caption>" in markup, "the leaderboard"
    assert any("application/vnd.plotly.v1+json" in output.get("data", {}) for output in shown)
