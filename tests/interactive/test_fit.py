"""`hpsearch.fit`: one line from a frame to a model, which can be interrupted and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import hpsearch
from hpsearch.errors import HpsearchError, InvalidInputError, InvalidStudyError
from tests.architecture.checkout import ROOT
from tests.interactive.conftest import customers

# Interrupted once, it goes on; the second study is small enough to end.
_PROGRAM = """
import json, sys
import hpsearch
from tests.interactive.test_fit import fitted
try:
    fitted(data_dir=sys.argv[1], max_trials=100000)
except KeyboardInterrupt:
    model = fitted(data_dir=sys.argv[1], max_trials=2)
    with hpsearch.Client(data_dir=sys.argv[1]) as client:
        studies = [(study.budget.max_trials, study.state, study.n_trials) for study in client.studies.all()]
    row = {"age": [30], "city": ["Riga"], "visits": [1], "plan": ["full"]}
    print(json.dumps([model.predict(row).tolist(), studies]))
"""


def fitted(max_trials: int, **where: Any) -> hpsearch.Fitted:
    """The fit of the test and of the program that is interrupted."""
    return hpsearch.fit(
        customers(), target="label", name="fitted", max_trials=max_trials, progress=False,
        training={"max_epochs": 3}, confirm={"top_k": 0}, split={"test": 0.2}, **where,
    )  # fmt: skip


def test_one_line_from_a_frame_to_predictions(client: hpsearch.Client, tmp_path: Path):
    model = fitted(3, client=client)
    assert model.study.view.n_trials == 3
    assert fitted(3, client=client).study.study_id == model.study.study_id, "it is there already"
    rows = customers().drop(columns="label")
    assert set(model.predict(rows)) <= set(model.classes) == {"leaves", "stays"}
    assert model.predict_proba(rows).shape == (len(rows), 2)
    assert hpsearch.load(model.save(tmp_path / "m.keras")).card == model.model.card


@pytest.mark.slow
def test_a_fit_that_is_interrupted_leaves_nothing_running_and_can_go_on(tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-c", _PROGRAM, str(tmp_path)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(program, cwd=ROOT, env=environment, **pipes) as process:
        try:
            wait_for_trials(tmp_path)
            family = psutil.Process(process.pid).children(recursive=True)
            assert len(family) >= 2, "a server and a worker"
            process.send_signal(signal.SIGINT)
            assert not psutil.wait_procs(family, timeout=30)[1]
            out, err = process.communicate(timeout=90)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert "Interrupted. Everything is kept: call hpsearch.fit again with the same data and arguments" in err
    (label,), ((_, state, n_trials), (_, before, n_before)) = json.loads(out)
    assert label in ("leaves", "stays")
    assert (state, n_trials) == ("COMPLETED", 2)
    assert before == "RUNNING"
    assert n_before > 0


def wait_for_trials(folder: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            with hpsearch.Client(data_dir=folder) as client:
                if client.study("fitted").view.n_trials:
                    return
        except HpsearchError:
            pass
        time.sleep(0.2)
    pytest.fail("no trial was finished")


def test_what_can_not_work_is_told(client: hpsearch.Client):
    frame = customers()
    with pytest.raises(InvalidInputError, match="the target 'lable' is not a column of the data; columns are 'age'"):
        hpsearch.fit(frame, target="lable", client=client)
    with pytest.raises(InvalidStudyError, match="unknown metric 'acuracy'"):
        hpsearch.fit(frame, target="label", metric="acuracy", client=client)
    with pytest.raises(InvalidInputError, match="fit: max_trials must be a whole number, received 'many'"):
        hpsearch.fit(frame, target="label", max_trials="many", client=client)
