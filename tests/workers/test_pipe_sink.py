"""What a trainer process tells its supervisor: exactly one end of every trial it was sent."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hpsearch.domain.trial import Measurement, Outcome
from tests.workers.fake_server import PROFILE, FakeServer
from tests.workers.idle_trainer import assignment
from workers.trainers.messages import Drop, Dropped, Event, Finished, Leave, Slots, Threshold, Train
from workers.training.engine.contract import Sink
from workers.training.engine.task import TrialTask
from workers.training.process.channel import Channel
from workers.training.process.pipe_sink import PipeSink, train_all

STUDY = FakeServer().study
DONE = Outcome(state="COMPLETE", value=0.5)


class FakeChannel(Channel):
    """A channel without pipes."""

    def __init__(self, n: int = 0) -> None:
        super().__init__(io.BytesIO(), io.BytesIO())  # type: ignore[arg-type]
        self.sent: list[Event] = []
        if n:
            self.receive_trials(n)

    def receive_trials(self, n: int) -> None:
        trials = {ticket: assignment(ticket).trial for ticket in range(n)}
        self._apply(Train(trials=trials, study=STUDY, profile=PROFILE, content=Path("c"), model_folder=Path()))

    def receive(self, command: Drop | Threshold | Leave) -> None:
        self._apply(command)

    def send(self, event: Event) -> None:
        self.sent.append(event)

    def kinds(self) -> list[str]:
        return [event.event for event in self.sent]


class Scripted:
    """An engine that does what a function says."""

    def __init__(self, act: Callable[[Sequence[TrialTask], Sink], None], n_slots: int = 1) -> None:
        self.n_slots = self.capacity = n_slots
        self._act = act

    def train(self, tasks: Sequence[TrialTask], sink: Sink) -> None:
        self._act(tasks, sink)


def test_a_trial_dropped_before_it_began_is_never_given_to_the_engine():
    channel = FakeChannel(3)
    channel.receive(Drop(ticket=1))
    tasks = PipeSink(channel).more(3)
    assert [task.trial.number for task in tasks] == [0, 2]
    assert channel.sent == [Dropped(ticket=1)]


def test_room_left_by_the_dropped_is_filled():
    channel = FakeChannel(4)
    channel.receive(Drop(ticket=0))
    assert [task.trial.number for task in PipeSink(channel).more(2)] == [1, 2]


def test_a_dropped_trial_is_told_once_and_nothing_follows():
    channel = FakeChannel(1)
    sink = PipeSink(channel)
    (task,) = sink.more(1)
    assert not sink.should_stop(task)
    channel.receive(Drop(ticket=0))
    assert sink.should_stop(task)
    assert sink.should_stop(task)
    sink.epoch(task, Measurement(epoch=1, metrics={}))
    sink.finished(task, DONE, None)
    assert channel.sent == [Dropped(ticket=0)]


def test_the_threshold_of_the_study_counts():
    channel = FakeChannel(1)
    sink = PipeSink(channel)
    (task,) = sink.more(1)
    assert sink.keeps_model(task, 0.1)
    channel.receive(Threshold(study_id=STUDY.study_id, threshold=0.5))
    assert [sink.keeps_model(task, value) for value in (0.5, 0.6)] == [False, True]


@pytest.mark.parametrize(
    ("n", "error", "causes"),
    [
        (1, RuntimeError("no"), ["training_error"]),
        (1, MemoryError(), ["oom"]),
        (3, RuntimeError("no"), ["crashed"] * 3),
        (3, MemoryError(), ["crashed"] * 3),
        (1, None, ["training_error"]),
        (2, None, ["crashed"] * 2),
    ],
)
def test_an_engine_that_ends_too_soon_leaves_no_trial_without_an_end(
    n: int, error: Exception | None, causes: list[str]
):
    def act(_tasks: Sequence[TrialTask], _sink: Sink) -> None:
        if error is not None:
            raise error

    channel = FakeChannel(n)
    train_all(Scripted(act, 8), channel)
    assert [event.outcome.cause for event in channel.sent if isinstance(event, Finished)] == causes
    assert channel.kinds()[-1] == "idle"


def test_an_engine_that_takes_one_at_a_time_gets_them_one_after_another():
    calls: list[int] = []

    def act(tasks: Sequence[TrialTask], sink: Sink) -> None:
        calls.append(len(tasks))
        for task in tasks:
            sink.finished(task, DONE, None)

    channel = FakeChannel(3)
    train_all(Scripted(act), channel)
    assert calls == [1, 1, 1]
    assert channel.kinds() == ["finished"] * 3 + ["idle"]


@pytest.fixture
def leaving() -> FakeChannel:
    channel = FakeChannel(2)
    channel.receive(Leave())
    return channel


def test_what_was_sent_is_trained_before_leaving(leaving: FakeChannel):
    assert leaving.wait()
    assert len(leaving.take(8)) == 2
    assert not leaving.wait()


def test_slots_that_change_with_the_studies_are_told():
    channel = FakeChannel(3)
    engine = Scripted(lambda *_: None)
    sink = PipeSink(channel, engine)
    sink.more(1)
    engine.n_slots, engine.capacity = 16, 20
    sink.more(1)
    sink.more(1)
    assert [event for event in channel.sent if isinstance(event, Slots)] == [Slots(n_slots=16, capacity=20)]
