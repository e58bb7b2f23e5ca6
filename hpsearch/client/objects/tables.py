"""Leaderboards and trials as sequences that become data frames, and tables in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar, overload

from hpsearch.client.frames import require_polars
from hpsearch.client.objects.markup import plain, table_html, table_text
from hpsearch.domain.trial import Params, Trial
from hpsearch.errors import HpsearchError
from hpsearch.wire.pages import LeaderboardRow

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Item = TypeVar("Item", bound=LeaderboardRow | Trial)

_SHOWN: Final = 10
_METRIC: Final = "metrics_"


class Table(Sequence[Item], Generic[Item]):
    """Rows of a study, in their order; `to_pandas()` and `to_polars()` make data frames of them.

    The columns of a frame are facts of the row, then the parameters under their own names, then the metrics at the
    best epoch as `metrics_…`.

    Args:
        title: Of the study.
        rows: To hold.
        columns: Facts of a row that a person wants to see, besides the parameters.
    """

    # Facts in the order of a frame's columns, before the parameters and after them.
    FIRST: ClassVar[tuple[str, ...]]
    LAST: ClassVar[tuple[str, ...]]
    # Those a person sees.
    SEEN: ClassVar[tuple[str, ...]]

    def __init__(self, title: str, rows: Iterable[Item]) -> None:
        self._title = title
        self._rows: tuple[Item, ...] = tuple(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._rows)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Item, ...]: ...

    def __getitem__(self, index: int | slice) -> Item | tuple[Item, ...]:
        return self._rows[index]

    def records(self) -> list[dict[str, Any]]:
        """Return a dictionary for each row, all with the same keys: the columns of a frame."""
        names = self._parameters()
        metrics = list(dict.fromkeys(name for row in self._rows for name in row.metrics))
        return [
            {name: plain(getattr(row, name)) for name in self.FIRST}
            | {name: row.params.get(name) for name in names}
            | {f"{_METRIC}{name}": row.metrics.get(name) for name in metrics}
            | {name: plain(getattr(row, name)) for name in self.LAST}
            for row in self._rows
        ]

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas data frame.

        Raises:
            HpsearchError: pandas is not installed; the message says how to install it.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError:
            msg = "to_pandas needs pandas, which is not installed here: run  pip install 'hpsearch[notebook]'"
            raise HpsearchError(msg, code="install.missing_part") from None
        return pd.DataFrame(self.records())

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a polars data frame; a parameter with choices of several kinds becomes text.

        Raises:
            HpsearchError: polars is not installed; the message says how to install it.
        """
        require_polars()
        import polars as pl

        records = self.records()
        names = list(records[0]) if records else []
        columns = {name: _of_one_kind([record[name] for record in records]) for name in names}
        return pl.DataFrame(columns, infer_schema_length=None)

    def _parameters(self) -> list[str]:
        return list(dict.fromkeys(name for row in self._rows for name in row.params))

    def _cells(self, rows: Sequence[Item]) -> tuple[list[str], list[list[object]]]:
        names = self._parameters()
        seen = [name for name in self.SEEN if any(getattr(row, name) is not None for row in rows)]
        cells = [[*(getattr(row, name) for name in seen), *_values(row.params, names)] for row in rows]
        return [*(name.removeprefix("n_") for name in seen), *names], cells

    def __repr__(self) -> str:
        shown = self._rows[:_SHOWN]
        head = f"{type(self).__name__} of {self._title}: {len(self)} rows"
        return f"{head}\n{table_text(*self._cells(shown))}{self._rest()}" if shown else head

    def _repr_html_(self) -> str:
        return table_html(self._title, *self._cells(self._rows[:_SHOWN]), self._rest())

    def _rest(self) -> str:
        left = len(self) - _SHOWN
        return f"\n… and {left} more" if left > 0 else ""


class Leaderboard(Table[LeaderboardRow]):
    """The ranked trials of a study, the best first.

    Attributes:
        metric: What `value` is, of the validation rows.
        direction: `maximize` or `minimize`.
    """

    FIRST = ("rank", "number", "kind", "value", "mean", "n_seeds")
    LAST = ("best_epoch", "epochs", "stop_reason", "n_weights", "device_seconds", "duration_s", "trial_id")
    SEEN = ("rank", "number", "kind", "value", "mean", "n_weights")

    def __init__(self, title: str, rows: Iterable[LeaderboardRow], *, metric: str, direction: str) -> None:
        super().__init__(title, rows)
        self.metric = metric
        self.direction = direction

    def _cells(self, rows: Sequence[LeaderboardRow]) -> tuple[list[str], list[list[object]]]:
        names, cells = super()._cells(rows)
        return [self.metric if name == "value" else name for name in names], cells


class Trials(Table[Trial]):
    """Trials of a study, by number."""

    FIRST = ("number", "kind", "state", "value")
    LAST = (
        "best_epoch", "epochs", "stop_reason", "cause", "n_weights", "device_seconds", "duration_s", "created_at",
        "started_at", "ended_at", "trial_id",
    )  # fmt: skip
    SEEN = ("number", "kind", "state", "value", "cause")


def _values(params: Params, names: Sequence[str]) -> list[object]:
    return [params.get(name) for name in names]


def _of_one_kind(values: list[Any]) -> list[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or len(kinds) <= 1:
        return [float(value) if len(kinds) > 1 and value is not None else value for value in values]
    return [None if value is None else str(value) for value in values]
