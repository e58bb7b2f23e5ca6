"""The moving picture and the plain lines, at several widths and for studies in all conditions."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from hpsearch.cli.display import wording
from hpsearch.cli.display.formatting import parameters
from hpsearch.cli.display.live_view import LiveView, picture
from hpsearch.cli.display.plain_view import PlainView
from hpsearch.cli.display.study_progress import Snapshot, Story
from hpsearch.cli.display.table_layout import wrapped
from hpsearch.wire.pages import LeaderboardPage, RunningTrial, StudyView
from hpsearch.wire.workers import WorkerView
from tests.cli.conftest import NOW, board, row, study

LONG = {f"units_{i}": 100 + i for i in range(1, 9)} | {"activation": "relu", "learning_rate": 0.0012345}


def worker(name: str, n_running: int = 0, state: str = "ACTIVE", seen: str = NOW) -> dict[str, Any]:
    return {
        "worker_id": name, "name": name, "state": state, "registered_at": NOW, "last_seen_at": seen,
        "n_running": n_running,
    }  # fmt: skip


def snapshot(at_s: float = 0.0, rows: int = 3, workers: tuple[dict[str, Any], ...] = (), **changes: Any) -> Snapshot:
    items = [row(i, params={"layers": i, **LONG, "dropout": i / 10}) for i in range(1, rows + 1)]
    return Snapshot(
        StudyView.model_validate(study(**changes)),
        LeaderboardPage.model_validate(board(*items)),
        tuple(WorkerView.model_validate(w) for w in workers),
        at_s,
    )


def drawn(shot: Snapshot, story: Story, width: int, height: int = 40, *, blocks: bool = True) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, highlight=False, markup=False)
    console.print(picture(shot, story, console, blocks=blocks))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


SPACE: list[dict[str, Any]] = [
    {"layers": 2, "units_1": 128, "units_2": 64, "activation": "relu", "optimizer": "nesterov", "momentum": 0.91,
     "learning_rate": 0.00123, "weight_decay": 1.2e-6, "dropout": 0.31, "batch_size": 32},
    {"layers": 3, "units_1": 256, "units_2": 64, "units_3": 99, "activation": "silu", "optimizer": "adam",
     "learning_rate": 0.0123, "weight_decay": 1.2e-5, "dropout": 0.01, "batch_size": 64},
]  # fmt: skip


def of_space() -> Snapshot:
    """The widest space of the examples."""
    items = [row(rank, params=params) for rank, params in enumerate(SPACE, start=1)]
    return replace(snapshot(), board=LeaderboardPage.model_validate(board(*items)))


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 120, 140, 200])
def test_no_line_is_wider_than_the_terminal(width: int):
    story = Story()
    shot = replace(snapshot(rows=10, workers=tuple(worker(f"gpu{i}", 3) for i in range(12))), running=under_way(7))
    story.add(shot)
    assert all(len(line.rstrip()) <= width for line in drawn(shot, story, width))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_board_is_broken_only_between_words(width: int):
    shot = of_space()
    lines = drawn(shot, Story(), width)
    said = " ".join(" ".join(lines).split())
    for params in SPACE:
        assert parameters(params) in " ".join(word for word in said.split() if "=" in word)
    figures = [line.split("  layers")[0].split() for line in lines if "layers=" in line]
    assert [(cells[0] if width < 100 else cells[1], "0.9900" in cells or "0.9800" in cells) for cells in figures] == [
        ("3", True),
        ("4", True),
    ]


@pytest.mark.parametrize("width", [120, 140, 160])
def test_a_wide_board_has_a_column_for_each_parameter_and_one_line_a_row(width: int):
    lines = drawn(of_space(), Story(), width)
    first = next(line for line in lines if "nesterov" in line)
    assert first.split() == [
        "1", "3", "0.9900", "12", "2", "128-64", "relu", "0.00123", "nesterov", "32", "0.31", "0.91", "1.2e-06",
    ]  # fmt: skip
    assert lines[lines.index(first) + 1].split()[-2:] == ["-", "1.2e-05"], "adam has no momentum"


def test_a_word_longer_than_the_line_goes_on_after_a_hyphen():
    assert wrapped("units=100-101-102 a", 10) == "units=100-\n101-102 a"
    assert wrapped("abcdef", 4) == "abcd\nef"


def under_way(n: int) -> tuple[RunningTrial, ...]:
    """Trials that run, the first of them with no epoch yet."""
    return tuple(
        RunningTrial(
            trial_id=str(i), number=i, kind="search", attempt=1, epoch=i, metrics={"accuracy": i / 9} if i else {}
        )
        for i in range(n)
    )


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (30, "trial 0 starting · 4 more"),
        (60, "trial 0 starting · trial 1 epoch 1 accuracy 0.1111 · 3 more"),
        (200, "trial 0 starting · trial 1 epoch 1 accuracy 0.1111 · trial 2 epoch 2 accuracy 0.2222 · 2 more"),
    ],
)
def test_running_trials_are_told_whole_with_their_last_epochs(width: int, said: str):
    shot = replace(snapshot(counts={"RUNNING": 5}), running=under_way(3))
    assert wording.running(shot, width) == said
    assert wording.running(snapshot(counts={"RUNNING": 5}), width) == "", "an older server tells of none"


def test_a_low_terminal_gets_fewer_rows():
    story = Story()
    shot = snapshot(rows=10)
    story.add(shot)
    assert len(drawn(shot, story, 80, height=14)) <= 14


def test_the_picture_says_how_it_stands():
    story = Story()
    story.add(snapshot(n_trials=0, best=None, rows=0))
    for n in (1, 2, 3):
        shot = snapshot(at_s=10.0 * n, n_trials=n, best=row(4 - n), workers=(worker("local-1", 2),))
        story.add(shot)
    lines = drawn(shot, story, 120)
    text = "\n".join(lines)
    assert lines[0].startswith("digits  bayesian search, maximize accuracy  running")
    assert "3 of 4 trials, 1 running · about 10 s left" in text
    assert "best accuracy 0.9900 (trial 3)  ▁▅█" in text
    assert text.split("rank ")[1].splitlines()[0].split() == ["trial", "accuracy", "epochs", "layers", "dropout"]
    assert ["1", "3", "0.9900", "12", "1", "0.1"] in [line.split() for line in lines]
    assert "activation" not in text, "what is the same in all rows tells nothing"
    assert "workers  local-1: 2 running" in text
    assert "▁" not in "\n".join(drawn(shot, story, 120, blocks=False))


def test_a_study_without_a_result_or_worker():
    story = Story()
    shot = snapshot(rows=0, n_trials=0, best=None, note_to_user="no worker is connected")
    story.add(shot)
    text = "\n".join(drawn(shot, story, 80))
    assert "no result yet" in text
    assert "no worker yet" in text
    assert "no worker is connected" in text
    assert "left" not in text


def test_a_study_limited_by_time_shows_no_total_but_the_time_left():
    story = Story()
    definition = study()["definition"] | {"budget": {"wall_time_s": 60.0}}
    budget = study()["budget"] | {"max_trials": 1_000_000, "wall_time_s": 15.0}
    shot = snapshot(definition=definition, budget=budget)
    story.add(shot)
    assert wording.tally(shot) == "3 trials, 1 running"
    assert wording.time_left(story, shot) == "about 45 s left"


def test_the_time_left_rests_while_a_program_is_compiled():
    """A scripted search: 2 s a trial, and a program compiled for 60 s after the third."""
    story = Story()
    shown: list[str] = []
    at_s, n = 0.0, 0
    script = [("starting", 10, 0), ("compiling", 20, 0), ("training", 6, 3), ("compiling", 60, 0), ("training", 4, 2)]
    for stage, duration_s, n_trials in script:
        for second in range(1, duration_s + 1):
            at_s += 1.0
            n += n_trials * second // duration_s - n_trials * (second - 1) // duration_s
            counts = {"COMPLETE": n, "WAITING": 5} | ({} if stage == "starting" else {"RUNNING": 1})
            one = worker("local-1", counts.get("RUNNING", 0)) | {"stage": stage}
            budget = study()["budget"] | {"max_trials": 10, "n_trials": n}
            shot = snapshot(at_s=at_s, n_trials=n, counts=counts, workers=(one,), budget=budget)
            story.add(shot)
            shown.append(wording.time_left(story, shot))
    assert set(shown[:10]) == {"the workers are starting"}
    assert set(shown[10:30]) == {"compiling"}
    assert shown[35] == "about 14 s left"
    assert set(shown[36:96]) == {"compiling, then about 14 s"}
    assert shown[96:] == ["about 14 s left", "about 10 s left", "about 12 s left", "about 9 s left"]


@pytest.mark.parametrize(
    ("workers", "stage"),
    [
        ([], ""),
        ([("a", 0, "starting")], "starting"),
        ([("a", 0, "starting"), ("b", 0, "idle")], "starting"),
        ([("a", 0, "starting"), ("b", 2, "training")], ""),
        ([("a", 2, "compiling"), ("b", 2, "training")], ""),
        ([("a", 2, "compiling"), ("b", 0, "idle")], "compiling"),
        ([("a", 2, "compiling"), ("b", 1, "fetching")], "compiling"),
        ([("a", 1, "fetching")], "fetching"),
        ([("a", 1, None)], ""),
    ],
)
def test_what_keeps_all_workers_from_training(workers: list[tuple[str, int, str | None]], stage: str):
    shown = tuple(worker(name, n) | {"stage": doing} for name, n, doing in workers)
    assert snapshot(workers=shown, counts={"WAITING": 3}).stage == stage


def test_time_left_follows_the_pace_and_not_the_start_up():
    story = Story()
    story.add(snapshot(at_s=0.0, n_trials=0, best=None))
    story.add(snapshot(at_s=100.0, n_trials=1))  # a slow start
    assert story.left_s(snapshot(at_s=100.0, n_trials=1)) is None
    story.add(snapshot(at_s=102.0, n_trials=2))
    assert story.left_s(snapshot(at_s=102.0, n_trials=2)) == pytest.approx(4.0)
    assert story.left_s(snapshot(at_s=104.0, n_trials=2)) == pytest.approx(8.0), "a stall is seen"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"phase": "confirmation"}, "confirming the best with other seeds"),
        ({"phase": "refit"}, "training the final model"),
        ({"state": "PAUSED"}, "paused"),
        ({"state": "STOPPING"}, "stopping"),
        ({"state": "COMPLETED", "phase": "ended"}, "completed"),
    ],
)
def test_standing(changes: dict[str, Any], said: str):
    assert wording.standing(snapshot(**changes)) == said


def test_a_replaced_worker_is_not_shown_twice():
    old, new = worker("local-1", seen="2026-01-01T00:00:00Z"), worker("local-1", 1, seen="2026-01-01T00:01:00Z")
    assert wording.fleet(snapshot(workers=(old, new))) == "local-1: 1 running"
    both = wording.fleet(
        snapshot(
            workers=(worker("a", 1), worker("a", 2), worker("gone", state="GONE"), worker("q", state="QUARANTINED"))
        )
    )
    assert both.count("a: ") == 2
    assert "gone" not in both
    assert "q: idle, quarantined" in both
    assert wording.fleet(snapshot(workers=tuple(worker(f"w{i}", 1) for i in range(9)))).endswith("and 3 more")


def test_the_live_view_draws_and_leaves_told_lines_standing():
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system=None)
    with LiveView(console, blocks=True) as view:
        view.wait("Starting …")
        view.show(snapshot())
        view.notify("worker 1 died\x1b[2J")
    assert "worker 1 died\\x1b[2J" in file.getvalue()
    assert "3 of 4 trials" in file.getvalue()


def test_plain_lines_come_only_with_news(capsys: pytest.CaptureFixture[str]):
    view = PlainView()
    with view:
        view.wait("Starting …")
        view.show(snapshot(at_s=0.0, n_trials=0, best=None))
        view.show(snapshot(at_s=0.3, n_trials=0, best=None))
        view.show(snapshot(at_s=2.0, n_trials=1, best=row(3)))
        view.show(snapshot(at_s=2.5, n_trials=2, best=row(2)))  # better, but at once after the last line
        view.show(snapshot(at_s=9.0, n_trials=3, best=row(2)))
        view.show(snapshot(at_s=13.0, n_trials=3, best=row(2), note_to_user="no worker"))
        view.show(snapshot(at_s=14.0, n_trials=3, best=row(2), note_to_user="no worker", state="COMPLETED"))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Starting …",
        "[0.0 s] digits: 0 of 4 trials, 1 running; no result yet",
        "[2.0 s] digits: 1 of 4 trials, 1 running; best accuracy 0.9700 (trial 5)",
        "[9.0 s] digits: 3 of 4 trials, 1 running; best accuracy 0.9800 (trial 4); about 4 s left",
        "note: no worker",
        "[14 s] digits: 3 of 4 trials, 1 running; best accuracy 0.9800 (trial 4); completed",
    ]


def test_plain_lines_say_what_happens_before_the_first_result(capsys: pytest.CaptureFixture[str]):
    view = PlainView()

    def show(at_s: float, stage: str, epoch: int = 0, n_running: int = 1) -> None:
        shot = snapshot(
            at_s=at_s,
            n_trials=0,
            best=None,
            counts={"WAITING": 3, "RUNNING": n_running},
            workers=(worker("a", n_running) | {"stage": stage},),
        )
        running = under_way(2)[1].model_copy(update={"number": 7, "epoch": epoch})
        view.show(replace(shot, running=(running,) if n_running else ()))

    show(0.0, "starting", n_running=0)
    show(2.0, "starting", n_running=0)
    show(3.0, "compiling")
    show(9.0, "training", epoch=1)
    show(14.0, "training", epoch=12)
    assert capsys.readouterr().err.splitlines() == [
        "[0.0 s] digits: 0 of 4 trials, 3 waiting; no result yet; the workers are starting",
        "[3.0 s] digits: 0 of 4 trials, 1 running, 3 waiting; no result yet; compiling; trial 7 starting",
        "[14 s] digits: 0 of 4 trials, 1 running, 3 waiting; no result yet; trial 7 epoch 12 accuracy 0.1111",
    ]
