"""Looking for studies by their labels, in the JSON of either database."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, exists, func, select

from hpsearch.storage.tables import study


def has_label(connection: Connection, key: str, value: str | None) -> ColumnElement[bool]:
    """Return the condition that a study has a label; None for its value takes any."""
    if connection.dialect.name == "sqlite":
        # Its paths into JSON neither find keys that were written with escapes nor take every key.
        pairs = func.json_each(study.c.labels).table_valued("key", "value")
        wanted = pairs.c.key == key if value is None else (pairs.c.key == key) & (pairs.c.value == value)
        return exists(select(pairs.c.key).where(wanted))
    found = study.c.labels[key].as_string()
    with_label: ColumnElement[bool] = found.is_not(None) if value is None else found == value
    return with_label
