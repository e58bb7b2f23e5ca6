"""Which trainer gets which trial, and how many are fetched for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch.domain.trial import Outcome
from tests.workers.fake_server import PROFILE
from tests.workers.idle_trainer import IdleTrainer, assignment
from workers.assignments import Assignment
from workers.server.model_thresholds import ModelThresholds
from workers.trainers.dispatcher import Dispatcher
from workers.trainers.messages import Train


@pytest.fixture
def dispatcher() -> Dispatcher:
    return Dispatcher(ModelThresholds(), lambda _study: (Path("content"), PROFILE), Path("models"))


def many(n: int) -> list[Assignment]:
    return [assignment(number) for number in range(n)]


def test_what_arrives_together_is_sent_together(dispatcher: Dispatcher):
    trainer = IdleTrainer(8)
    dispatcher.put(many(5))
    dispatcher.dispatch([trainer])
    (command,) = trainer.heard
    assert isinstance(command, Train)
    assert trainer.given() == [0, 1, 2, 3, 4]
    assert len(command.trials) == 5


def test_each_study_has_its_own_command(dispatcher: Dispatcher):
    trainer = IdleTrainer(8)
    dispatcher.put([assignment(0), assignment(1, study_id="study-2")])
    dispatcher.dispatch([trainer])
    assert [command.study.study_id for command in trainer.heard if isinstance(command, Train)] == ["study-1", "study-2"]


def test_trainers_share_evenly_the_emptier_first(dispatcher: Dispatcher):
    full, half, empty = (IdleTrainer(8) for _ in range(3))
    full.add(many(8))
    half.add(many(4))
    dispatcher.put(many(6))
    dispatcher.dispatch([full, half, empty])
    assert [len(t.given()) for t in (full, half, empty)] == [0, 3, 3]
    dispatcher.put(many(9))
    dispatcher.dispatch([full, half, empty])
    assert [len(t.held) for t in (full, half, empty)] == [8, 8, 8], "what one has no room for the other takes"


def test_what_nobody_wants_any_more_is_not_sent(dispatcher: Dispatcher):
    cancelled, ended, wanted = many(3)
    cancelled.is_over = True
    ended.outcome = Outcome(state="RELEASED")
    dispatcher.put([cancelled, ended, wanted])
    trainer = IdleTrainer(8)
    dispatcher.dispatch([trainer])
    assert trainer.given() == [2]


def test_a_suspect_waits_for_an_empty_trainer_and_gets_it_for_itself(dispatcher: Dispatcher):
    trainer = IdleTrainer(8)
    neighbours = many(2)
    trainer.add(neighbours)
    dispatcher.put([assignment(7, alone=True), assignment(8)])
    dispatcher.dispatch([trainer])
    assert trainer.given() == [], "nothing joins those in training, or it would never be empty"
    assert dispatcher.n_wanted([trainer]) == 0
    for one in neighbours:
        trainer.remove(one.ticket)
    dispatcher.dispatch([trainer])
    assert trainer.given() == [7]
    assert trainer.room == 0
    dispatcher.dispatch([trainer])
    assert trainer.given() == [7]
    trainer.remove(next(iter(trainer.held)))
    dispatcher.dispatch([trainer])
    assert trainer.given() == [7, 8]


def test_a_second_trainer_goes_on_meanwhile(dispatcher: Dispatcher):
    busy, busier = IdleTrainer(8), IdleTrainer(8)
    busy.add(many(1))
    busier.add(many(2))
    dispatcher.put([assignment(7, alone=True), assignment(8)])
    dispatcher.dispatch([busy, busier])
    assert (busy.given(), busier.given()) == ([], [8])


@pytest.mark.parametrize(
    ("capacity", "n_training", "n_waiting", "n_writing", "wish"),
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
    dispatcher: Dispatcher, capacity: int, n_training: int, n_waiting: int, n_writing: int, wish: int
):
    trainer = IdleTrainer(capacity)
    trainer.add(assignment(n_epochs=3) for _ in range(n_training + n_writing))
    trainer.writing |= set(list(trainer.held)[:n_writing])
    trainer.add(assignment() for _ in range(n_waiting))
    assert dispatcher.n_wanted([trainer]) == wish


def test_a_trainer_that_starts_or_leaves_wants_nothing(dispatcher: Dispatcher):
    starting = IdleTrainer(8)
    starting.ready = None
    leaving = IdleTrainer(8)
    leaving.leave()
    dispatcher.put(many(3))
    dispatcher.dispatch([starting, leaving])
    assert starting.given() == leaving.given() == []
    assert dispatcher.n_wanted([starting, leaving]) == 0
