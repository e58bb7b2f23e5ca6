"""The process that writes model files with Keras, for an engine that trains without TensorFlow.

Started by `writer.ModelWriter` with one end of a pair of connected sockets; ends when the other end is closed.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from hpsearch.domain.trial import Outcome
from hpsearch.processes import die_with_parent
from workers.training.engine.task import TrialTask
from workers.training.engine.trial_kinds import Source

# Training comes first: this process takes what the cores have left. Not lower: at a study's end people wait for it.
_NICE = 5


@dataclass(frozen=True)
class Order:
    """One model file to write.

    Attributes:
        task: The trial.
        source: Weights, and what the network that was trained says of the rows.
        outcome: COMPLETE, as trained.
        path: Where to write.
    """

    task: TrialTask
    source: Source
    outcome: Outcome
    path: Path


@dataclass(frozen=True)
class Reply:
    """What became of an order.

    Attributes:
        outcome: With the file's own score; of another state when the file could not be written.
        path: Of the file; None when there is none.
    """

    outcome: Outcome
    path: Path | None


def main() -> None:
    """Serve the process whose pid and connection the arguments name, until it closes the connection."""
    # The thread that starts this process ends with its study's trials; the next study's find the process as it is.
    die_with_parent(int(sys.argv[1]), poll_only=True)
    os.nice(_NICE)
    connection = Connection(int(sys.argv[2]))
    from workers.training.keras_networks.quick_start import quick_start

    with quick_start():
        from workers.training.keras_networks import runtime
        from workers.training.model_files.export import export
    from workers.training.engine.failures import outcome_of
    from workers.training.engine.rows import RowsCache

    runtime.configure(threads=1, at_once=1)
    rows: dict[str, RowsCache] = {}
    while True:
        try:
            order: Order = connection.recv()
        except EOFError:
            return
        try:
            dtype = order.source.dtype
            study = rows.setdefault(dtype, RowsCache(dtype)).of(order.task)
            exported = export(order.task, study, order.source, order.outcome, order.path)
            reply = Reply(exported.outcome, exported.path)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the trial's outcome; the next one goes on
            reply = Reply(outcome_of(error), None)
        connection.send(reply)
        runtime.tidy()


if __name__ == "__main__":
    main()
