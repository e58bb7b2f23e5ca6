"""One trial for a person or a script: what it is, who tried it, how it went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hpsearch.cli.console import safe
from hpsearch.cli.display.formatting import duration, number, parameters, score, sparkline
from hpsearch.domain.trial import Attempt
from hpsearch.wire.pages import MeasurementView, TrialView
from hpsearch.wording.trials import kind_of_trial

_MAX_DETAIL_LINES = 20
_UNBOUNDED = 100_000
# Characters of a curve, at most and at least.
_CURVE = 24
_LEAST_CURVE = 8


def trial_document(trial: TrialView, epochs: Sequence[MeasurementView]) -> dict[str, Any]:
    """Return the trial with every metric of every epoch, JSON-safe."""
    return {
        **trial.model_dump(mode="json"),
        "measurements": [epoch.model_dump(mode="json") for epoch in epochs],
    }


def trial_lines(
    trial: TrialView, epochs: Sequence[MeasurementView], metric: str, width: int = _UNBOUNDED
) -> Iterator[str]:
    """Yield what a person wants to know of a trial.

    Args:
        trial: The trial.
        epochs: Of its current attempt, in order.
        metric: The objective of its study.
        width: Characters of a line: curves are drawn as wide as there is room.
    """
    which = kind_of_trial(trial.kind, trial.params) or "search"
    ended = f", {trial.stop_reason or trial.cause}" if trial.stop_reason or trial.cause else ""
    yield f"trial {trial.number} ({which}), {trial.trial_id}"
    yield f"state       {trial.state.lower()}{ended}"
    yield f"parameters  {parameters(trial.params)}"
    weights = f"{trial.n_weights:,}" if trial.n_weights is not None else "-"
    yield f"size        {weights} weights, seed {trial.seed}"
    if trial.value is not None:
        yield f"result      {metric} {score(trial.value)} at epoch {trial.best_epoch} of {trial.epochs}"
        for name, value in sorted(trial.metrics.items()):
            yield f"            {name} {score(value)}"
    yield f"cost        {duration(trial.duration_s)}, {duration(trial.device_seconds)} of device time"
    for attempt in trial.attempts:
        yield f"attempt {attempt.attempt}   {_attempt(attempt)}"
    yield from _epoch_lines(epochs, metric, width)
    if trial.detail:
        yield "said"
        yield from (f"  {line}" for line in trial.detail.splitlines()[-_MAX_DETAIL_LINES:])


def _attempt(attempt: Attempt) -> str:
    by = attempt.worker_name or attempt.worker_id
    took = (attempt.ended_at - attempt.started_at).total_seconds() if attempt.ended_at else None
    state = (attempt.state or "running").lower() + (f" ({attempt.cause})" if attempt.cause else "")
    return safe(f"{state} on {by}, {duration(took)}")


def _epoch_lines(epochs: Sequence[MeasurementView], metric: str, line_width: int) -> Iterator[str]:
    names = sorted({name for epoch in epochs for name in epoch.metrics}, key=lambda name: (name != metric, name))
    if not names:
        return
    yield f"epochs      {len(epochs)}: first, last, lowest, highest"
    width = max(len(name) for name in names)
    for name in names:
        values = [value for epoch in epochs if (value := epoch.metrics.get(name)) is not None]
        if values:
            shown = "  ".join(f"{number(value, 4):>8}" for value in (values[0], values[-1], min(values), max(values)))
            line = f"  {name:<{width}}  {shown}"
            room = min(_CURVE, line_width - len(line) - 2)
            yield f"{line}  {sparkline(values, room)}" if room >= _LEAST_CURVE else line
