"""ModelFileQueue: a priority queue of model files to be written beside the training, the best trial's first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpsearch.domain.lifecycle import ALWAYS_KEPT
from hpsearch.domain.objective import Objective
from hpsearch.domain.trial import Outcome
from workers.training.engine.contract import Sink
from workers.training.engine.failures import outcome_of
from workers.training.engine.task import TrialTask
from workers.training.engine.trial_kinds import Source
from workers.training.model_files.child import Order
from workers.training.model_files.writer import ModelWriter


@dataclass(eq=False)
class _Offer:
    """A trial that is trained and not yet reported."""

    task: TrialTask
    outcome: Outcome
    source: Callable[[], Source]
    path: Path
    is_being_written: bool = False

    @property
    def value(self) -> float:
        return self.outcome.value or 0.0

    @property
    def study_id(self) -> str:
        return self.task.study.study_id

    @property
    def objective(self) -> Objective:
        return self.task.study.objective

    @property
    def n_models(self) -> int:
        return self.task.study.n_models

    @property
    def competes(self) -> bool:
        """Whether other trials' files can make its own superfluous: those of baselines and refits are always wanted."""
        return self.task.trial.kind not in ALWAYS_KEPT


class ModelFileQueue:
    """Decides which finished trials leave a model file, has the files written, and reports all of them.

    A trial is reported COMPLETE after its file is written, so that the best trial never lacks one. While it waits, as
    many better trials of its study as the study keeps models of make its file superfluous, and it is reported without.
    So few trials wait at any time, however slow the writing. One that is only as good as another waits for the other's
    report: of equals the server takes the first.

    Args:
        sink: Receives the ends; may be spoken to from any thread.
        writer: Writes.
        waiting: Called when a trial begins to wait for its file: its slot is free.
    """

    def __init__(self, sink: Sink, writer: ModelWriter, waiting: Callable[[TrialTask], None]) -> None:
        self._sink = sink
        self._writer = writer
        self._waiting = waiting
        self._changed = threading.Condition()
        self._offers: list[_Offer] = []
        # Values of the best files written, by study.
        self._written: dict[str, list[float]] = {}
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="models", daemon=True)
        self._thread.start()

    @property
    def n_waiting(self) -> int:
        """Trials that wait for their files, those being written included."""
        with self._changed:
            return len(self._offers)

    def offer(self, task: TrialTask, outcome: Outcome, source: Callable[[], Source]) -> None:
        """Report a trained trial, now or when its model file is written.

        Args:
            task: The trial.
            outcome: How it ended.
            source: Makes what its file is made of; not called for a trial that leaves none.
        """
        value = outcome.value if outcome.state == "COMPLETE" else None
        path = task.model_path
        if path is None or value is None or not self._sink.keeps_model(task, value):
            self._sink.finished(task, outcome, None)
            return
        with self._changed:
            self._offers.append(_Offer(task, outcome, source, path))
            beaten = [offer for offer in self._offers if self._is_beaten(offer)]
            self._offers = [offer for offer in self._offers if offer not in beaten]
            is_waiting = any(offer.task is task for offer in self._offers)
            self._changed.notify_all()
        for offer in beaten:
            self._sink.finished(offer.task, offer.outcome, None)
        if is_waiting:
            self._waiting(task)

    def _is_beaten(self, offer: _Offer) -> bool:
        """Return whether enough better trials have their files, or wait for them."""
        if offer.is_being_written or not offer.competes:
            return False
        rivals = [other.value for other in self._offers if other.competes and other.study_id == offer.study_id]
        rivals += self._written.get(offer.study_id, [])
        return sum(offer.objective.better(rival, offer.value) for rival in rivals) >= offer.n_models

    def _is_matched(self, offer: _Offer) -> bool:
        """Return whether enough trials that are at least as good have their files."""
        written = self._written.get(offer.study_id, [])
        n = sum(not offer.objective.better(offer.value, value) for value in written)
        return offer.competes and n >= offer.n_models

    def close(self) -> None:
        """Let the thread end once nothing waits any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._offers or self._is_closed)
                offer = self._next()
                if offer is None and self._is_closed:
                    return
                is_matched = offer is not None and self._is_matched(offer)
            if offer is None:
                continue
            outcome, model = (offer.outcome, None) if is_matched else self._write(offer)
            with self._changed:
                self._offers.remove(offer)
                if model is not None and offer.competes:
                    self._note(offer)
            self._sink.finished(offer.task, outcome, model)

    def _next(self) -> _Offer | None:
        """Return the best trial that waits and is still wanted, marked."""
        self._offers = [offer for offer in self._offers if not self._sink.should_stop(offer.task)]
        best: _Offer | None = None
        for offer in self._offers:
            if best is None or offer.objective.better(offer.value, best.value):
                best = offer
        if best is not None:
            best.is_being_written = True
        return best

    def _note(self, offer: _Offer) -> None:
        values = [*self._written.get(offer.study_id, []), offer.value]
        values.sort(key=offer.objective.sort_key)
        self._written[offer.study_id] = values[: offer.n_models]

    def _write(self, offer: _Offer) -> tuple[Outcome, Path | None]:
        self._writer.start()
        try:
            order = Order(offer.task, offer.source(), offer.outcome, offer.path)
        except Exception as error:  # noqa: BLE001 - whatever training it raises is the trial's outcome
            return outcome_of(error), None
        reply = self._writer.write(order)
        return reply.outcome, reply.path
