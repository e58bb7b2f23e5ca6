"""Learning curves of some trials against each other."""

from __future__ import annotations

from collections.abc import Sequence

from hpsearch.domain.strict import Lenient
from hpsearch.service.context import Context
from hpsearch.service.studies import study_snapshot


class Curve(Lenient):
    """One metric of one trial: values by epoch, None where it was not finite."""

    trial_id: str
    metric: str
    epochs: tuple[int, ...]
    values: tuple[float | None, ...]


class Curves(Lenient):
    """Curves of some trials."""

    metrics: tuple[str, ...]
    items: tuple[Curve, ...]


def curves_of(ctx: Context, trial_ids: Sequence[str]) -> Curves:
    """Return the curves of the current attempts of some trials; those without epochs have none."""
    items: list[Curve] = []
    metrics: dict[str, None] = {}
    for uid, epochs in study_snapshot.curves(ctx, trial_ids).items():
        names = dict.fromkeys(name for _, values in epochs for name in values)
        metrics.update(names)
        items += [
            Curve.model_construct(
                trial_id=uid,
                metric=name,
                epochs=tuple(epoch for epoch, values in epochs if name in values),
                values=tuple(values[name] for _, values in epochs if name in values),
            )
            for name in names
        ]
    return Curves(metrics=tuple(metrics), items=tuple(items))
