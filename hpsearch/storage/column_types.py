"""Types of columns, as each database stores them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Index,
    TextClause,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine

from hpsearch.storage.dialects import DIALECTS


def _as_stored(plain: TypeEngine[Any], by_dialect: dict[str, TypeEngine[Any]]) -> TypeEngine[Any]:
    return reduce(lambda type_, one: type_.with_variant(one[1], one[0]), by_dialect.items(), plain)


_JSON: Final = JSON(none_as_null=True)
# A database may put the keys of objects into an order of its own.
Json: Final = _as_stored(_JSON, {name: dialect.json_type for name, dialect in DIALECTS.items()})
OrderedJson: Final = _as_stored(_JSON, {name: dialect.ordered_json_type for name, dialect in DIALECTS.items()})
Id: Final = _as_stored(BigInteger(), {name: dialect.id_type for name, dialect in DIALECTS.items()})


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant; where a database has no zones, they are put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return what the driver stores."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return an aware instant."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def partial_index(name: str, *columns: str | Column[Any], where: TextClause) -> Index:
    """Return an index over the rows for which a condition holds."""
    options: dict[str, Any] = {f"{dialect}_where": where for dialect in DIALECTS}
    return Index(name, *columns, **options)
