"""The event log of a study, read in order without gaps."""

from __future__ import annotations

from hpsearch.errors import InvalidInputError
from hpsearch.service.context import Context
from hpsearch.wire.pages import Event


def _position(event_id: str) -> tuple[int, int]:
    xact, _, number = event_id.partition("-")
    if not (xact.isascii() and xact.isdigit() and number.isascii() and number.isdigit() and len(event_id) <= 40):  # noqa: PLR2004
        msg = f"Last-Event-ID {event_id[:40]!r} is not one this stream gave out; start again without it"
        raise InvalidInputError(msg, code="event_id.invalid")
    return min(int(xact), 2**62), min(int(number), 2**62)


def since(ctx: Context, study_id: str, *, after: str | None, limit: int = 500) -> list[Event]:
    """Return a study's events after one, oldest first; all from the beginning when ``after`` is None.

    Raises:
        NotFoundError: There is no such study.
        InvalidInputError: ``after`` is not an event id.
    """
    xact, number = (-1, 0) if after is None else _position(after)
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
        rows = tx.events.since(study.id, xact=xact, event_id=number, limit=limit)
    return [
        Event(
            event_id=f"{row.xact}-{row.id}",
            study_id=study.uid,
            trial_id=row.trial_uid,
            kind=row.kind,
            at=row.at,
            data=row.data,
        )
        for row in rows
    ]


def latest_id(ctx: Context, study_id: str) -> str:
    """Return the id of a study's newest event, for following from now on.

    Raises:
        NotFoundError: There is no such study.
    """
    with ctx.store.read() as tx:
        xact, number = tx.events.latest(tx.studies.get(study_id).id)
    return f"{xact}-{number}"
