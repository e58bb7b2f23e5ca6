"""The journal of a worker: every answered report is in it, and no more."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.errors import InvalidInputError
from hpsearch.wire.reports import ReportResult, TrialReport
from tests.workers.conftest import WorkerProcess, wait_until
from tests.workers.fake_server import FakeServer, epochs_of
from workers.server.report_journal import JOURNAL_VARIABLE, ReportJournal
from workers.training.testing.stub_engine import stub_value

Start = Callable[..., WorkerProcess]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_holds_what_the_server_answered(
    server: FakeServer, start_worker: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(JOURNAL_VARIABLE, str(tmp_path / "journal.jsonl"))
    server.add(5)
    assert start_worker(max_idle_s=0.5).wait(30) == 0
    lines = _lines(tmp_path / "journal.jsonl")
    assert {line["status"] for line in lines} == {"accepted"}
    ends = {line["trial_id"]: line for line in lines if line["outcome"] is not None}
    assert set(ends) == set(server.trials)
    for trial_id, line in ends.items():
        params = server.trials[trial_id].params
        assert (line["attempt"], line["outcome"]["state"]) == (1, "COMPLETE")
        assert line["outcome"]["value"] == stub_value(params)
        epochs = [m["epoch"] for one in lines if one["trial_id"] == trial_id for m in one["measurements"]]
        assert epochs == epochs_of(server.trials[trial_id], 1)


def test_refusals_are_noted_as_such(
    server: FakeServer, start_worker: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(JOURNAL_VARIABLE, str(tmp_path / "journal.jsonl"))
    lost, after = server.add(2)
    start_worker(stub={"epoch_s": "0.05", "epochs": "10"})
    wait_until(lambda: epochs_of(lost, 1))
    with server.lock:
        lost.attempt, lost.state = 2, "COMPLETE"
    wait_until(lambda: after.state == "COMPLETE")
    wait_until(lambda: any(line["outcome"] for line in _lines(tmp_path / "journal.jsonl")))
    lines = _lines(tmp_path / "journal.jsonl")
    assert [line["status"] for line in lines if line["trial_id"] == lost.trial_id][-1] == "stale_attempt"
    assert not any(line["outcome"] for line in lines if line["trial_id"] == lost.trial_id)


def test_the_last_words_of_a_stopped_worker_are_noted(
    server: FakeServer, start_worker: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(JOURNAL_VARIABLE, str(tmp_path / "journal.jsonl"))
    server.add(1)
    worker = start_worker(stub={"epoch_s": "0.2", "epochs": "100"})
    wait_until(lambda: epochs_of(server.trials["trial-0"], 1))
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait() == 0
    last = _lines(tmp_path / "journal.jsonl")[-1]
    assert (last["status"], last["outcome"]["state"]) == ("accepted", "RELEASED")


def test_a_heartbeat_is_not_worth_a_line_and_without_a_path_nothing_is(tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    journal = ReportJournal(path)
    accepted = ReportResult(trial_id="t", status="accepted", action="continue")
    beat = TrialReport(trial_id="t", attempt=1)
    journal.note("w", beat, accepted)
    assert path.read_text() == ""
    measured = beat.model_copy(update={"measurements": (Measurement(epoch=1, metrics={"loss": 0.1}),)})
    journal.note("w", measured, accepted)
    journal.note("w", beat.model_copy(update={"outcome": Outcome(state="COMPLETE", value=0.1)}), accepted)
    assert [bool(line["outcome"]) for line in _lines(path)] == [False, True]
    assert _lines(path)[1]["outcome"]["value"] == 0.1
    ReportJournal.of_environment({}).note("w", measured, accepted)
    assert len(_lines(path)) == 2


def test_a_heartbeat_that_was_refused_is_noted(tmp_path: Path):
    """A worker that was frozen between two epochs hears by a heartbeat that its trial has gone to another."""
    path = tmp_path / "journal.jsonl"
    stale = ReportResult(trial_id="t", status="stale_attempt", action="stop")
    ReportJournal(path).note("w", TrialReport(trial_id="t", attempt=1), stale)
    assert [(line["status"], line["outcome"], line["measurements"]) for line in _lines(path)] == [
        ("stale_attempt", None, [])
    ]


def test_a_path_that_can_not_be_written_is_one_sentence(tmp_path: Path):
    with pytest.raises(InvalidInputError, match=r"HPSEARCH_JOURNAL .* can not be written: is a directory"):
        ReportJournal.of_environment({JOURNAL_VARIABLE: str(tmp_path)})
