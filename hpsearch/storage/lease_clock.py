"""The time that leases are compared with, inside statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Double, bindparam, literal

from hpsearch.storage.dialects.base import DatabaseNow

_DATABASE_NOW: Final[ColumnElement[float]] = DatabaseNow()
_BOUND_NOW: Final[ColumnElement[float]] = bindparam("lease_now", type_=Double)


@dataclass(frozen=True)
class LeaseClock:
    """Seconds since the epoch, told by the database or, where this process is its only writer, by this process.

    Attributes:
        seconds: The time; None lets the database tell it.
    """

    seconds: float | None

    @property
    def now(self) -> ColumnElement[float]:
        """The time, for a statement that is built and run at once."""
        return _DATABASE_NOW if self.seconds is None else literal(self.seconds, Double)

    @property
    def is_bound(self) -> bool:
        """Whether a statement built beforehand takes the time as a parameter."""
        return self.seconds is not None

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters a statement built with `of_statement` is run with."""
        return {} if self.seconds is None else {"lease_now": self.seconds}

    @staticmethod
    def of_statement(*, is_bound: bool) -> ColumnElement[float]:
        """Return the time for a statement that is built once and run often."""
        return _BOUND_NOW if is_bound else _DATABASE_NOW
