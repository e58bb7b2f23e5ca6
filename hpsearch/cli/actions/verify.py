"""Action of `verify`: fetch a trial and its data, train it again with plain Keras, compare."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from hpsearch import _layout
from hpsearch.cli import failure
from hpsearch.cli.connecting import connected
from hpsearch.cli.console import emit, note, say
from hpsearch.cli.display.curve_comparison import Comparison
from hpsearch.client.objects.quiet import quiet
from hpsearch.domain.dataset import DatasetProfile
from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.trial import Measurement
from hpsearch.errors import InvalidInputError
from hpsearch.wire.claims import ClaimedTrial, StudyBrief
from hpsearch.wire.pages import StudyView, TrialView


def verify(
    wanted: str,
    server: str | None,
    token: str | None,
    data_dir: Path | None,
    *,
    within: float | None,
    as_json: bool,
) -> int:
    """Print a trial's stored curve beside that of plain Keras, and return the exit code.

    Args:
        wanted: Id, or STUDY#NUMBER.
        server: Its address; None finds it.
        token: For it; None finds it.
        data_dir: Of the local server.
        within: Largest difference of the objective that is no failure; None accepts any.
        as_json: Whether to print JSON instead.

    Raises:
        InvalidInputError: The trial has no epoch to compare with.
    """
    with tempfile.TemporaryDirectory(prefix="hpsearch-verify-") as folder, connected(server, token, data_dir) as client:
        trial = client.trials.get(wanted)
        stored = list(client.trials.all_measurements(trial.trial_id))
        if not stored:
            msg = f"trial {trial.number} has no stored epoch to compare with (it is {trial.state.lower()})"
            raise InvalidInputError(msg, code="trial.no_curve")
        study = client.studies.get(trial.study_id)
        facts = study.resolved
        content = Path(folder) / "content.parquet"
        client.datasets.download(facts.dataset_id, content, sha256=facts.dataset_digest)
        profile = client.datasets.profile(facts.dataset_id)
        note(f"Training trial {trial.number} of {study.name!r} again with plain Keras …")
        reference, outcome_state = _retrained(trial, study, content, profile)
    comparison = Comparison.of(trial, study, [Measurement(epoch=m.epoch, metrics=m.metrics) for m in stored], reference)
    if as_json:
        emit(comparison.document())
    else:
        for line in comparison.lines():
            say(line)
        if outcome_state != trial.state:
            say(f"state: {trial.state.lower()} stored, {outcome_state.lower()} by plain Keras")
    return failure.FAILED if within is not None and comparison.objective_difference > within else failure.OK


def _retrained(
    trial: TrialView, study: StudyView, content: Path, profile: DatasetProfile
) -> tuple[list[Measurement], str]:
    facts, definition = study.resolved, study.definition
    claimed = ClaimedTrial(
        trial_id=trial.trial_id,
        study_id=study.study_id,
        number=trial.number,
        kind=TrialKind(trial.kind),
        attempt=trial.attempt,
        params=trial.params,
        seed=trial.seed,
        # A refit reports as many epochs as it was told to train.
        refit_epochs=trial.epochs,
    )
    brief = StudyBrief(
        study_id=study.study_id,
        name=study.name,
        dataset_id=facts.dataset_id,
        dataset_digest=facts.dataset_digest,
        task=facts.task,
        split=definition.split,
        metric=facts.metric,
        direction=facts.direction,
        training=definition.training,
        data_order_seed=definition.algorithm.seed,
    )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its greetings are no part of the result
    with quiet():
        retrain = _layout.load("workers.training.reference.retraining").retrain
        done = retrain(claimed, brief, content, profile, _progress)
    if sys.stdout.isatty():
        sys.stdout.write("\r\x1b[K")
    return list(done.measurements), str(done.outcome.state)


def _progress(epoch: int) -> None:
    if sys.stdout.isatty():
        sys.stdout.write(f"\repoch {epoch}")
        sys.stdout.flush()
