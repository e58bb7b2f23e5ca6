"""`hpsearch run` and `--watch` against a fake server: what is continued, what is waited for, how it ends."""

from __future__ import annotations

import itertools
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hpsearch.cli.actions import watch
from hpsearch.cli.display.study_progress import Snapshot
from hpsearch.client import Client
from hpsearch.errors import UnavailableError
from tests.cli.conftest import (
    DEFINITION,
    NOW,
    STUDY_ID,
    FakeServer,
    Said,
    board,
    final_model,
    page,
    problem,
    row,
    study,
    trial,
)

Run = Callable[..., Said]
S = f"/v1/studies/{STUDY_ID}"
HangUp = Callable[[signal.Handlers], None]
YAML = """
name: digits
dataset: {builtin: digits}
task: multiclass
objective: {metric: accuracy, direction: maximize}
space: {layers: {type: int, low: 1, high: 2}, learning_rate: {type: float, low: 1.0e-4, high: 0.1}}
budget: {max_trials: 4}
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No real waiting between looks."""
    monkeypatch.setattr(watch, "POLL_S", 0.01)
    monkeypatch.setattr(watch, "_GAP_S", 0.0)


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    path = tmp_path / "digits.yaml"
    path.write_text(YAML)
    return path


class Story:
    """A study that moves on by one state at each look."""

    def __init__(self, fake: FakeServer, *states: dict[str, Any]) -> None:
        self.states = list(states)
        fake.routes["GET", S] = self.look
        fake.routes["POST", "/v1/studies"] = lambda _request: (201, self.states[0])
        fake.routes["GET", "/v1/studies"] = page()
        fake.routes["GET", S + "/leaderboard"] = board(row(1))
        fake.routes["GET", S + "/model"] = b"the model"
        fake.routes["GET", "/v1/workers"] = page()
        fake.routes["GET", S + "/trials"] = lambda request: (
            page(trial(0, kind="baseline", params={"layers": 0}, value=0.9)) if request.query.get("kind") else page()
        )

    def look(self, _request: object) -> dict[str, Any]:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


DONE: dict[str, Any] = {
    "state": "COMPLETED",
    "end_reason": "max_trials",
    "phase": "ended",
    "n_trials": 4,
    "ended_at": NOW,
}
DONE["final"] = final_model()


def test_run_submits_waits_and_writes_the_model(fake: FakeServer, remote: Run, yaml_file: Path, tmp_path: Path):
    Story(fake, study(n_trials=0, best=None), study(n_trials=0, best=None), study(n_trials=2), study(**DONE))
    said = remote("run", yaml_file)
    assert said.code == 0
    assert (tmp_path / "best.keras").read_bytes() == b"the model"
    lines = said.out.splitlines()
    assert lines[0] == "digits: completed, all trials done (4 trials, 12 s, 20 s of device time)"
    assert lines[1] == "Final model: test accuracy 0.9750 on 360 rows (95 %: 0.9532 to 0.9868)"
    assert lines[2] == "      chosen at 0.9900 on 359 validation rows, trial 3"
    assert lines[3] == "      Selection flattered it by 0.015: believe the test rows."
    assert "against linear model 0.9000 on the validation rows" in said.out
    assert "Model: best.keras (9 B)" in said.out
    assert "hpsearch predict best.keras DATA.csv" in said.out
    assert "Study 'digits' (0193a1b2-c3d4) is submitted." in said.err
    assert "2 of 4 trials" in said.err


def test_the_model_may_be_read_by_whom_the_mask_allows(fake: FakeServer, remote: Run, yaml_file: Path, tmp_path: Path):
    Story(fake, study(**DONE))
    before = os.umask(0o022)
    try:
        assert remote("run", yaml_file, "--out", "m.keras").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "m.keras").stat().st_mode) == 0o644


def test_json_is_exactly_the_promised_object(fake: FakeServer, remote: Run, yaml_file: Path, tmp_path: Path):
    Story(fake, study(n_trials=1), study(**DONE))
    said = remote("run", yaml_file, "--json", "--out", "out.keras")
    best = row(1)
    assert said.json == {
        "study_id": STUDY_ID,
        "state": "COMPLETED",
        "end_reason": "max_trials",
        "n_trials": 4,
        "best": {key: best[key] for key in ("trial_id", "value", "params", "metrics")},
        "final": final_model(),
        "model": str(tmp_path / "out.keras"),
    }
    assert list(said.json) == ["study_id", "state", "end_reason", "n_trials", "best", "final", "model"]


def test_json_after_a_confirmation_has_the_mean_with_its_interval(fake: FakeServer, remote: Run, yaml_file: Path):
    confirmed = {"mean": 0.97, "n_seeds": 5, "interval": [0.96, 0.98]}
    Story(fake, study(**DONE, best=row(1, **confirmed)))
    best = remote("run", yaml_file, "--json").json["best"]
    assert {name: best[name] for name in confirmed} == confirmed


def test_without_test_rows_the_mean_is_the_figure_to_believe(fake: FakeServer, remote: Run, yaml_file: Path):
    mean = {"believe": "mean", "value": 0.97, "mean": 0.97, "n_seeds": 5, "interval": [0.96, 0.98], "optimism": 0.02}
    Story(fake, study(**DONE | {"final": final_model(kind="search", test=None, test_interval=None, **mean)}))
    lines = remote("run", yaml_file).out.splitlines()
    assert lines[1] == "Final model: validation accuracy 0.9700, mean of 5 seeds (95 %: 0.9600 to 0.9800)"
    assert lines[3] == "      Selection flattered it by 0.020: believe the mean over new seeds."


def test_a_value_that_was_only_chosen_is_said_to_be_so(fake: FakeServer, remote: Run, yaml_file: Path):
    plain = {"believe": "chosen_at", "value": 0.99, "test": None, "test_interval": None, "optimism": None}
    Story(fake, study(**DONE | {"final": final_model(kind="search", **plain)}))
    lines = remote("run", yaml_file).out.splitlines()
    assert lines[1] == "Final model: chosen at 0.9900 on 359 validation rows, trial 3"
    assert "expect a little less on new rows" in lines[2]


def test_an_unfinished_study_of_the_same_definition_is_continued(fake: FakeServer, remote: Run, yaml_file: Path):
    Story(fake, study(**DONE))
    fake.routes["GET", "/v1/studies"] = page(study())
    said = remote("run", yaml_file)
    assert said.code == 0
    assert "goes on where it was: 3 of 4 trials done" in said.err
    assert not fake.asked("POST", "/v1/studies")


def test_a_paused_study_is_resumed(fake: FakeServer, remote: Run, yaml_file: Path):
    Story(fake, study(**DONE))
    fake.routes["GET", "/v1/studies"] = page(study(state="PAUSED"))
    fake.routes["POST", S + "/resume"] = study()
    said = remote("run", yaml_file)
    assert said.code == 0
    assert "was paused and goes on" in said.err
    assert len(fake.asked("POST", S + "/resume")) == 1


def test_a_complete_study_prints_its_result_at_once(fake: FakeServer, remote: Run, yaml_file: Path, tmp_path: Path):
    Story(fake, study(**DONE))
    fake.routes["GET", "/v1/studies"] = page(study(**DONE))
    said = remote("run", yaml_file, "--json")
    assert said.json["n_trials"] == 4
    assert "--new searches again" in said.err
    assert (tmp_path / "best.keras").exists()
    assert not fake.asked("POST", "/v1/studies")


@pytest.mark.parametrize(
    "other",
    [
        {"state": "CANCELLED"},
        {"state": "FAILED"},
        {"definition": DEFINITION | {"budget": {"max_trials": 5}}},
        {"definition": DEFINITION | {"algorithm": {"kind": "random"}}},
    ],
)
def test_other_and_failed_studies_are_not_continued(
    fake: FakeServer, remote: Run, yaml_file: Path, other: dict[str, Any]
):
    Story(fake, study(**DONE))
    fake.routes["GET", "/v1/studies"] = page(study(**other))
    assert remote("run", yaml_file).code == 0
    assert len(fake.asked("POST", "/v1/studies")) == 1


def test_new_starts_another(fake: FakeServer, remote: Run, yaml_file: Path):
    Story(fake, study(**DONE))
    fake.routes["GET", "/v1/studies"] = page(study())
    assert remote("run", yaml_file, "--new").code == 0
    assert len(fake.asked("POST", "/v1/studies")) == 1


def test_a_study_that_fails_is_exit_code_3_with_the_reason(
    fake: FakeServer, remote: Run, yaml_file: Path, tmp_path: Path
):
    failed = study(state="FAILED", end_reason="max_failed", best=None, n_trials=4, counts={"FAILED": 4})
    Story(fake, failed)
    fake.routes["GET", S + "/trials"] = lambda request: (
        page(trial(1, state="FAILED", value=None, cause="training_error", detail="Traceback\n  …\nValueError: no"))
        if request.query.get("state") == "FAILED"
        else page()
    )
    said = remote("run", yaml_file)
    assert said.code == 3
    assert "No trial came to a result." in said.out
    assert "4 trials failed; trial 1: training_error: ValueError: no" in said.out
    assert not (tmp_path / "best.keras").exists()
    said = remote("run", yaml_file, "--json")
    assert said.code == 3
    assert (said.json["best"], said.json["model"]) == (None, None)


@pytest.mark.parametrize("how", ["run", "submit --watch", "leaderboard --watch"])
def test_a_search_without_a_result_is_exit_code_3_and_says_what_to_do(
    fake: FakeServer, remote: Run, yaml_file: Path, how: str
):
    sad = "only a baseline came to a result: 4 failed; `hpsearch retry-failed digits` tries them again"
    baseline = row(1, kind="baseline", params={"layers": 0})
    end = {"state": "FAILED", "end_reason": "no_result", "phase": "ended", "ended_at": NOW, "note_to_user": sad}
    Story(fake, study(n_trials=0, best=None), study(best=baseline, n_trials=4, counts={"FAILED": 4}, **end))
    verb, *flags = how.split()
    said = remote(verb, STUDY_ID if verb == "leaderboard" else yaml_file, *flags)
    assert said.code == 3
    if verb == "run":
        assert "digits: failed, no search trial came to a result (4 trials" in said.out
        assert "Only a baseline came to a result: 4 failed; `hpsearch retry-failed digits` tries" in said.out
    else:
        assert f"note: {sad}" in said.err


def test_a_study_without_a_model_is_exit_code_3(fake: FakeServer, remote: Run, yaml_file: Path):
    Story(fake, study(**DONE))
    del fake.routes["GET", S + "/model"]
    said = remote("run", yaml_file)
    assert said.code == 3
    assert "The server kept no model of it" in said.out


def test_when_no_trial_beats_a_baseline_it_says_so(fake: FakeServer, remote: Run, yaml_file: Path):
    winner = {"trial_id": "b0", "number": 0, "name": "linear model", "value": 0.995, "has_model": True}
    Story(fake, study(**DONE | {"final": final_model(baselines=[winner], beaten_by_baseline=winner)}))
    said = remote("run", yaml_file)
    assert "found nothing better than the linear model (trial 0, accuracy 0.9950 on the validation rows)" in said.out


def test_a_server_that_is_away_for_a_while_is_waited_for(fake: FakeServer, remote: Run, yaml_file: Path):
    answers = iter([problem(503, "server.unavailable", "the database restarts"), study(n_trials=1), study(**DONE)])
    Story(fake, study(**DONE))
    fake.routes["POST", "/v1/studies"] = (201, study(n_trials=0, best=None))
    fake.routes["GET", S] = lambda _request: next(answers)
    said = remote("run", yaml_file)
    assert said.code == 0
    assert "the database restarts (trying again; nothing stored is lost)" in said.err
    assert "The server answers again." in said.err


def test_a_server_that_stays_away_is_given_up(
    fake: FakeServer, remote: Run, yaml_file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watch, "GIVE_UP_AFTER_S", 0.05)
    Story(fake, study(n_trials=1))
    fake.routes["GET", S] = problem(503, "server.unavailable", "the database is gone")
    said = remote("run", yaml_file)
    assert said.code == 1
    assert said.err.splitlines()[-1] == "Error: the database is gone"


@pytest.fixture
def hang_up() -> Iterator[HangUp]:
    """Sets what a hang-up does, whatever it did to whoever runs the tests: under nohup it does nothing."""
    before = signal.getsignal(signal.SIGHUP)

    def become(handler: signal.Handlers) -> None:
        signal.signal(signal.SIGHUP, handler)

    yield become
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_leaves_the_study_on_the_server(
    fake: FakeServer, remote: Run, yaml_file: Path, number: signal.Signals, hang_up: HangUp
):
    hang_up(signal.SIG_DFL)
    story, looks = Story(fake, study(n_trials=1)), itertools.count()

    def look(request: object) -> dict[str, Any]:
        if next(looks) == 1:  # the command is following the study by now
            os.kill(os.getpid(), number)
        return story.look(request)

    fake.routes["GET", S] = look
    said = remote("run", yaml_file)
    assert said.code == 130
    assert said.out == ""
    assert f"The study goes on at {fake.url}: run the same command again to watch it" in said.err
    assert not [request for request in fake.requests if request.path.endswith("/cancel")]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_hang_up_is_nothing_under_nohup(fake: FakeServer, remote: Run, yaml_file: Path, hang_up: HangUp):
    hang_up(signal.SIG_IGN)
    Story(fake, study(n_trials=1))
    for at_s, number in ((0.2, signal.SIGHUP), (1.0, signal.SIGTERM)):
        threading.Timer(at_s, os.kill, (os.getpid(), number)).start()
    began_s = time.monotonic()
    assert remote("run", yaml_file).code == 130
    assert time.monotonic() - began_s > 0.8


def test_an_interrupt_that_python_loses_is_heeded_all_the_same(
    fake: FakeServer, remote: Run, yaml_file: Path, monkeypatch: pytest.MonkeyPatch
):
    Story(fake, study(n_trials=1))
    take = watch.Watcher.take

    def deaf(watcher: watch.Watcher) -> Snapshot:
        with suppress(KeyboardInterrupt):  # as in a finaliser
            signal.raise_signal(signal.SIGTERM)
        return take(watcher)

    monkeypatch.setattr(watch.Watcher, "take", deaf)
    assert remote("run", yaml_file).code == 130


@pytest.mark.parametrize(
    ("out", "said"),
    [(".", "is a folder"), ("nowhere/m.keras", "there is no folder")],
)
def test_an_unusable_out_is_said_before_anything_starts(
    fake: FakeServer, remote: Run, yaml_file: Path, out: str, said: str
):
    result = remote("run", yaml_file, "--out", out)
    assert result.code == 1
    assert said in result.err
    assert fake.requests == []


def test_a_foreign_server_needs_a_token(hpsearch: Run, fake: FakeServer, yaml_file: Path):
    said = hpsearch("run", yaml_file, "--server", fake.url)
    assert said.code == 1
    assert said.err.endswith("pass it with --token or HPSEARCH_TOKEN\n")
    assert fake.requests == []


def test_watching_a_leaderboard_until_the_end(fake: FakeServer, remote: Run):
    Story(fake, study(n_trials=2), study(**DONE))
    fake.routes["GET", "/v1/studies"] = page(study(n_trials=1))
    said = remote("leaderboard", "digits", "--watch")
    assert said.code == 0
    assert "2 of 4 trials" in said.err
    assert said.out.splitlines()[0].startswith("rank")


def test_submit_and_watch_as_json(fake: FakeServer, remote: Run, yaml_file: Path):
    Story(fake, study(n_trials=2), study(**DONE))
    said = remote("submit", yaml_file, "--watch", "--json")
    assert said.code == 0
    assert said.json["state"] == "COMPLETED"


def test_events_wake_the_watcher(fake: FakeServer, remote: Run, yaml_file: Path, monkeypatch: pytest.MonkeyPatch):
    """With an hour between its own looks, only the server's events can bring it to the end in time."""
    monkeypatch.setattr(watch, "POLL_S", 3600.0)
    Story(fake, study(n_trials=1), study(n_trials=2), study(**DONE))
    events = "".join(
        f'id: {i}\ndata: {{"event_id": "{i}", "kind": "trial.complete", "at": "{NOW}"}}\n\n' for i in range(3)
    )
    fake.streams[S + "/events"] = events.encode()
    timer = threading.Timer(60, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    said = remote("run", yaml_file)
    timer.cancel()
    assert said.code == 0


def test_what_is_asked_of_a_server_that_went_is_asked_again_of_the_one_started_for_it():
    server = watch.ServerConnection("http://127.0.0.1:1", "t")
    gone = UnavailableError("gone", retry_after_s=0)
    asked: list[str] = []

    def act(client: Client) -> str:
        asked.append(client.url)
        if len(asked) < 3:
            raise gone
        return "answer"

    assert server.with_retries(act, lambda: server.move_to(f"http://127.0.0.1:{len(asked) + 1}", "t")) == "answer"
    assert asked == ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"]
    server.close()


def test_a_remote_server_that_went_is_an_error_at_once():
    server = watch.ServerConnection("http://127.0.0.1:1", "t")
    gone = UnavailableError("gone", retry_after_s=0)
    asked: list[str] = []

    def act(client: Client) -> str:
        asked.append(client.url)
        raise gone

    with pytest.raises(UnavailableError, match="gone"):
        server.with_retries(act, None)
    assert len(asked) == 1
    server.close()
