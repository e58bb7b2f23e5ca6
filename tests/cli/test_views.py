"""The moving picture and the plain lines, at several widths and for studies in all conditions."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from hpsearch.cli import words
from hpsearch.cli.live_view import LiveView, picture
from hpsearch.cli.plain_view import PlainView
from hpsearch.cli.progress import Snapshot, Story
from hpsearch.wire.pages import LeaderboardPage, StudyView
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


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_none_is_folded(width: int):
    story = Story()
    shot = snapshot(rows=10, workers=tuple(worker(f"gpu{i}", 3) for i in range(12)))
    story.add(shot)
    lines = drawn(shot, story, width)
    assert all(len(line) <= width for line in lines)
    assert len(lines) == 3 + 1 + 12 + 1 + 1  # head, progress, best; board with heading and rule; workers


@pytest.mark.parametrize("width", [60, 80, 120])
def test_figures_are_never_cut_only_parameters(width: int):
    story = Story()
    wide = [
        row(i, params={f"units_{layer}": 100 + i + layer for layer in range(1, 16)} | {"layers": i})
        for i in range(1, 11)
    ]
    shot = replace(snapshot(), board=LeaderboardPage.model_validate(board(*wide)))
    story.add(shot)
    rows = [line for line in drawn(shot, story, width) if "layers=" in line]
    figures = [["3", "0.99"], ["4", "0.98"]] if width < 70 else [["1", "3", "0.99", "12"], ["2", "4", "0.98", "12"]]
    assert [line.split()[: len(figures[0])] for line in rows[:2]] == figures
    assert all(line.rstrip().endswith("…") for line in rows) == (width < 120)


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
    assert "best accuracy 0.99 (trial 3)  ▁▅█" in text
    assert "layers=1" in text
    assert "dropout=0.1" in text
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
    assert words.tally(shot) == "3 trials, 1 running"
    assert words.time_left(story, shot) == "about 45 s left"


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
    assert words.standing(snapshot(**changes)) == said


def test_a_replaced_worker_is_not_shown_twice():
    old, new = worker("local-1", seen="2026-01-01T00:00:00Z"), worker("local-1", 1, seen="2026-01-01T00:01:00Z")
    assert words.fleet(snapshot(workers=(old, new))) == "local-1: 1 running"
    both = words.fleet(
        snapshot(
            workers=(worker("a", 1), worker("a", 2), worker("gone", state="GONE"), worker("q", state="QUARANTINED"))
        )
    )
    assert both.count("a: ") == 2
    assert "gone" not in both
    assert "q: idle, quarantined" in both
    assert words.fleet(snapshot(workers=tuple(worker(f"w{i}", 1) for i in range(9)))).endswith("and 3 more")


def test_the_live_view_draws_and_leaves_told_lines_standing():
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system=None)
    with LiveView(console, blocks=True) as view:
        view.wait("Starting …")
        view.show(snapshot())
        view.tell("worker 1 died\x1b[2J")
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
        "[2.0 s] digits: 1 of 4 trials, 1 running; best accuracy 0.97 (trial 5)",
        "[9.0 s] digits: 3 of 4 trials, 1 running; best accuracy 0.98 (trial 4); about 3.5 s left",
        "note: no worker",
        "[14 s] digits: 3 of 4 trials, 1 running; best accuracy 0.98 (trial 4); completed",
    ]
