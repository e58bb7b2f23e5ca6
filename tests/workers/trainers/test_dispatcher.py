"""Which trainer gets which trial, and how many are fetched for it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from hpsearch.domain.trial import Outcome
from tests.workers.fake_server import PROFILE
from tests.workers.idle_trainer import IdleTrainer, assignment
from workers.assignments import Assignment
from workers.server.model_thresholds import Thresholds
from workers.trainers.dispatcher import Prepared, Supply
from workers.trainers.messages import Train


@pytest.fixture
def supply() -> Supply:
    numbers = itertools.count()
    return Supply(Thresholds(), lambda: Path(f"{next(numbers)}.keras"))


def put(supply: Supply, *assignments: Assignment) -> None:
    supply.put(Prepared(one, Path("content"), PROFILE) for one in assignments)


def many(n: int) -> list[Assignment]:
    return [assignment(number) for number in range(n)]


def test_what_arrives_together_is_sent_together(supply: Supply):
    trainer = IdleTrainer(8)
    put(supply, *many(5))
    supply.hand_out([trainer])
    (command,) = trainer.heard
    assert isinstance(command, Train)
    assert trainer.given() == [0, 1, 2, 3, 4]
    assert len({one.model_path for one in command.tickets}) == 5


def test_each_study_has_its_own_command(supply: Supply):
    trainer = IdleTrainer(8)
    put(supply, assignment(0), assignment(1, study_id="study-2"))
    supply.hand_out([trainer])
    assert [command.study.study_id for command in trainer.heard if isinstance(command, Train)] == ["study-1", "study-2"]


def test_trainers_share_evenly_the_emptier_first(supply: Supply):
    full, half, empty = (IdleTrainer(8) for _ in range(3))
    full.take_up(many(8))
    half.take_up(many(4))
    put(supply, *many(6))
    supply.hand_out([full, half, empty])
    assert [len(t.given()) for t in (full, half, empty)] == [0, 3, 3]
    put(supply, *many(9))
    supply.hand_out([full, half, empty])
    assert [len(t.held) for t in (full, half, empty)] == [8, 8, 8], "what one has no room for the other takes"


def test_what_nobody_wants_any_more_is_not_sent(supply: Supply):
    cancelled, ended, wanted = many(3)
    cancelled.is_over = True
    ended.outcome = Outcome(state="RELEASED")
    put(supply, cancelled, ended, wanted)
    trainer = IdleTrainer(8)
    supply.hand_out([trainer])
    assert trainer.given() == [2]


def test_a_suspect_waits_for_an_empty_trainer_and_gets_it_for_itself(supply: Supply):
    trainer = IdleTrainer(8)
    neighbours = many(2)
    trainer.take_up(neighbours)
    put(supply, assignment(7, alone=True), assignment(8))
    supply.hand_out([trainer])
    assert trainer.given() == [], "nothing joins those in training, or it would never be empty"
    assert supply.wish([trainer]) == 0
    for one in neighbours:
        trainer.let_go(one.ticket)
    supply.hand_out([trainer])
    assert trainer.given() == [7]
    assert trainer.room == 0
    supply.hand_out([trainer])
    assert trainer.given() == [7]
    trainer.let_go(next(iter(trainer.held)))
    supply.hand_out([trainer])
    assert trainer.given() == [7, 8]


def test_a_second_trainer_goes_on_meanwhile(supply: Supply):
    busy, busier = IdleTrainer(8), IdleTrainer(8)
    busy.take_up(many(1))
    busier.take_up(many(2))
    put(supply, assignment(7, alone=True), assignment(8))
    supply.hand_out([busy, busier])
    assert (busy.given(), busier.given()) == ([], [8])


@pytest.mark.parametrize(
    ("appetite", "n_training", "n_waiting", "n_writing", "wish"),
    [
        (80, 0, 0, 0, 80),  # nothing in training: all that can be planned together
        (80, 0, 40, 0, 40),
        (80, 64, 0, 0, 16),  # 64 slots are full: a quarter more waits at hand
        (80, 64, 16, 0, 0),
        (3, 2, 1, 0, 0),
        (3, 2, 0, 0, 1),
        (3, 2, 0, 1, 1),  # one whose model file is being written has left its slot
        (3, 0, 0, 1, 3),
        (1, 0, 1, 0, 0),
        (1, 1, 0, 0, 0),
    ],
)
def test_how_many_are_fetched(
    supply: Supply, appetite: int, n_training: int, n_waiting: int, n_writing: int, wish: int
):
    trainer = IdleTrainer(appetite)
    trainer.take_up(assignment(n_epochs=3) for _ in range(n_training + n_writing))
    trainer.writing |= set(list(trainer.held)[:n_writing])
    trainer.take_up(assignment() for _ in range(n_waiting))
    assert supply.wish([trainer]) == wish


def test_a_trainer_that_starts_or_leaves_wants_nothing(supply: Supply):
    starting = IdleTrainer(8)
    starting.ready = None
    leaving = IdleTrainer(8)
    leaving.leave()
    put(supply, *many(3))
    supply.hand_out([starting, leaving])
    assert starting.given() == leaving.given() == []
    assert supply.wish([starting, leaving]) == 0
