"""Conditions on trials: on a column or a parameter, as plain values that statements are made from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, false, not_, or_, true

from hpsearch.storage.tables import trial

COLUMNS: Final = ("number", "value", "epochs", "n_weights", "device_seconds", "duration_s")


class Span(NamedTuple):
    """Numbers from `low` to `high`; an infinite end is none, and the ends belong to it unless `is_open`."""

    low: float = -math.inf
    high: float = math.inf
    is_open: bool = False


@dataclass(frozen=True)
class Condition:
    """Holds for a trial of which one of the fields has one of the values; it never holds where a field has none.

    Attributes:
        fields: Columns of `COLUMNS`, or `param.` and the name of a parameter.
        values: Spans of numbers, texts, or true and false; all of one kind.
        negated: Holds where none of the values is met instead.
    """

    fields: tuple[str, ...]
    values: tuple[Span | str | bool, ...]
    negated: bool = False

    def clause(self) -> ColumnElement[bool]:
        """Return the condition for a WHERE."""
        alternatives = [_met(field, value) for field in self.fields for value in self.values]
        met = or_(false(), *alternatives)
        return not_(met) if self.negated else met


def _met(field: str, value: Span | str | bool) -> ColumnElement[bool]:  # noqa: FBT001 - one of three kinds of values
    member: Any = trial.c.params[field.removeprefix("param.")] if field.startswith("param.") else None
    if isinstance(value, bool):
        flag: ColumnElement[bool] = member.as_boolean() == (true() if value else false())
        return flag
    if isinstance(value, str):
        same: ColumnElement[bool] = member.as_string() == value
        return same
    number = trial.c[field] if member is None else member.as_float()
    bounds: list[ColumnElement[bool]] = []
    if math.isfinite(value.low):
        bounds.append(number > value.low if value.is_open else number >= value.low)
    if math.isfinite(value.high):
        bounds.append(number < value.high if value.is_open else number <= value.high)
    return and_(number.is_not(None), *bounds)


@dataclass(frozen=True)
class Wanted:
    """Which trials of a study are wanted.

    Attributes:
        states: Only trials in one of these states; empty for all.
        kinds: Only trials of one of these kinds; empty for all.
        where: Only trials for which all of these hold.
    """

    states: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()

    def narrow(self, statement: Select[Any]) -> Select[Any]:
        """Return a statement over trials that finds the wanted ones alone."""
        if self.states:
            statement = statement.where(trial.c.state.in_(self.states))
        if self.kinds:
            statement = statement.where(trial.c.kind.in_(self.kinds))
        return statement.where(*(one.clause() for one in self.where))
