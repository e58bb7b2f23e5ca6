"""Objective: the metric a search improves, and which of two values of it is better."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import model_validator

from hpsearch.domain.metrics import KNOWN_METRICS, Direction, direction_of
from hpsearch.domain.strict import Frozen, Name


class Objective(Frozen):
    """The number the search improves: a metric of the validation split at its best epoch."""

    metric: Name
    direction: Direction | None = None

    @model_validator(mode="after")
    def _known(self) -> Objective:
        if self.metric not in KNOWN_METRICS:
            msg = f"unknown metric {self.metric!r}; known are {', '.join(sorted(KNOWN_METRICS))}"
            raise ValueError(msg)
        if self.direction not in (None, direction_of(self.metric)):
            msg = f"{self.metric} is better when you {direction_of(self.metric)} it, received {self.direction}"
            raise ValueError(msg)
        return self

    @property
    def resolved_direction(self) -> Direction:
        """The given direction, or the metric's own."""
        return self.direction or direction_of(self.metric)

    @property
    def larger_is_better(self) -> bool:
        """Whether the search maximizes the metric."""
        return _larger_is_better(self.resolved_direction)

    def sort_key(self, value: float) -> float:
        """Return the value turned so that smaller is better: values sorted by it begin with the best."""
        return sort_key(value, self.resolved_direction)

    def better(self, left: float, right: float) -> bool:
        """Return whether ``left`` is strictly better than ``right``; NaN is neither better nor worse."""
        return self.sort_key(left) < self.sort_key(right)

    def gain(self, value: float, over: float) -> float:
        """Return by how much ``value`` is better than ``over``, in the metric's unit; negative where it is worse."""
        return value - over if self.larger_is_better else over - value

    def best(self, values: Iterable[float]) -> float:
        """Return the best of at least one value."""
        return min(values, key=self.sort_key)


def sort_key(value: float, direction: Direction) -> float:
    """Return the value turned so that smaller is better."""
    return -value if _larger_is_better(direction) else value


def _larger_is_better(direction: Direction) -> bool:
    return direction == "maximize"
