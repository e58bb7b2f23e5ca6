"""Looking at a definition without creating anything."""

from __future__ import annotations

from typing import Final

from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.trial import Params
from hpsearch.errors import InvalidInputError, NotFoundError
from hpsearch.sampling.request import SuggestRequest
from hpsearch.sampling.suggest import n_weights, suggest
from hpsearch.service.context import Context
from hpsearch.service.studies.resolving import Resolution, resolve
from hpsearch.wire.studies import PreviewReply, Problem, SampledConfiguration, ValidateReply

_SAMPLE: Final = 10
# A rough guess, from plain Keras on one CPU core: multiply-adds a second, and the cost of a step apart from them.
_FLOPS: Final = 5e9
_STEP_S: Final = 4e-4
_TRIAL_S: Final = 1.5
# Trials stop early: this share of max_epochs is what they typically run.
_EPOCHS_SHARE: Final = 0.4


def validate(ctx: Context, definition: StudyDefinition) -> ValidateReply:
    """Return whether the study would be accepted, with everything that is wrong or odd."""
    found = _look(ctx, definition)
    if isinstance(found, Problem):
        return ValidateReply(valid=False, errors=(found,))
    return ValidateReply(valid=True, warnings=_warnings(definition, found))


def preview(ctx: Context, definition: StudyDefinition) -> PreviewReply:
    """Return what the study would do: its size, some configurations, weights and a guess of its cost."""
    found = _look(ctx, definition)
    if isinstance(found, Problem):
        return PreviewReply(valid=False, errors=(found,))
    shape = found.shape(definition)
    sample = tuple(
        SampledConfiguration(params=point, n_weights=n_weights(point, shape)) for point in _sample(definition, found)
    )
    weights = [one.n_weights for one in sample]
    return PreviewReply(
        valid=True,
        warnings=_warnings(definition, found),
        task=found.resolved.task,
        grid_size=found.resolved.grid_size,
        max_trials=found.resolved.max_trials,
        sample=sample,
        min_weights=min(weights),
        max_weights=max(weights),
        estimated_device_seconds=_cost_s(definition, found, sample),
    )


def _look(ctx: Context, definition: StudyDefinition) -> Resolution | Problem:
    try:
        return resolve(ctx, definition)
    except (InvalidInputError, NotFoundError) as error:
        return Problem(field=str(error.details.get("field", "")), message=error.message)


def _sample(definition: StudyDefinition, found: Resolution) -> list[Params]:
    n = min(_SAMPLE, found.resolved.max_trials)
    if found.walk is not None:
        return found.walk.points(0, n)
    return suggest(
        SuggestRequest(
            space=definition.space,
            algorithm=definition.algorithm.as_random(),
            shape=found.shape(definition),
            direction=found.resolved.direction,
            n=n,
            first_index=0,
            max_trials=found.resolved.max_trials,
        )
    )


def _cost_s(definition: StudyDefinition, found: Resolution, sample: tuple[SampledConfiguration, ...]) -> float:
    n_train = found.widths.n_train
    epochs = max(1.0, definition.training.max_epochs * _EPOCHS_SHARE)
    seconds = 0.0
    for one in sample:
        batch = one.params.get("batch_size", 64)
        steps = -(-n_train // (batch if isinstance(batch, int) else 64))
        seconds += _TRIAL_S + epochs * (steps * _STEP_S + 6.0 * one.n_weights * n_train / _FLOPS)
    repeats = found.resolved.max_trials + definition.confirm.top_k * definition.confirm.seeds
    return round(seconds / len(sample) * repeats * (definition.split.folds or 1), 1)


def _warnings(definition: StudyDefinition, found: Resolution) -> tuple[Problem, ...]:
    warnings: list[Problem] = []
    n_points = 1
    for parameter in definition.space.searched().values():
        n_points = 0 if parameter.values is None or not n_points else n_points * len(parameter.values)
    if not definition.space.searched():
        warnings.append(Problem(field="space", message="nothing is searched: every parameter has one value"))
    elif found.walk is None and 0 < n_points < found.resolved.max_trials:
        message = (
            f"the space has at most {n_points} points, fewer than {found.resolved.max_trials} trials: some will repeat"
        )
        warnings.append(Problem(field="budget.max_trials", message=message))
    momentum = definition.space.root.get("momentum")
    optimizer = definition.space.root.get("optimizer")
    reads = {"momentum", "nesterov"} & {str(v) for v in (optimizer.values or ())} if optimizer is not None else set()
    if momentum is not None and not reads:
        warnings.append(Problem(field="space.momentum", message="no optimizer of the space reads momentum"))
    return tuple(warnings)
