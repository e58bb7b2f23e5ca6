"""Whether a column of texts holds dates, and how they become numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

_DATE: Final = r"^\d{4}-\d{2}-\d{2}"
_TIME: Final = r"[T ]\d{2}:\d{2}:\d{2}"
_FORMATS: Final = (
    (_DATE + "$", "%Y-%m-%d"),
    (_DATE + _TIME + r"(\.\d{1,9})?$", "%Y-%m-%dT%H:%M:%S%.f"),
    (_DATE + _TIME + r"(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})$", "%Y-%m-%dT%H:%M:%S%.f%#z"),
)


def days_since_1970(texts: pl.Series) -> pl.Series | None:
    """Return days since 1970-01-01 UTC as float64, or None when a text is no ISO 8601 date.

    Understood are 2026-11-21, 2026-11-21T05:48:00 with or without fractions of a second and with or without an
    offset (none means UTC), all texts of a column in the same form.

    Args:
        texts: Null where missing.
    """
    import polars as pl

    sample = texts.drop_nulls().head(1)
    for pattern, form in _FORMATS:
        if not sample.str.contains(pattern).all():
            continue
        if not texts.str.contains(pattern).fill_null(value=True).all():
            return None
        plain = texts.str.replace(" ", "T", literal=True)
        parsed = plain.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC" if "z" in form else None)
        if parsed.null_count() != texts.null_count():
            return None
        return parsed.cast(pl.Int64).cast(pl.Float64) / 86_400e6
    return None
