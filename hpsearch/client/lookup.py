"""Lookup of a study or a trial by id, by the start of an id, or by name."""

from __future__ import annotations

import re
from itertools import islice
from typing import ClassVar, Final, Protocol, runtime_checkable

from hpsearch.client.connection import Connection, segment
from hpsearch.client.paging import walk
from hpsearch.domain.trial import Trial
from hpsearch.errors import InvalidInputError, NotFoundError
from hpsearch.wire.pages import Page, StudyView

_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID_START: Final = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
# Characters of an id that are shown: its time of creation to the millisecond, enough to be unique on most servers.
SHOWN: Final = 13
_MAX_SEARCHED: Final = 10_000
_MAX_NAMED: Final = 5


@runtime_checkable
class HasStudyId(Protocol):
    """A study as the server shows it, or a handle of one."""

    DISPLAY_NAME: ClassVar[str] = "a study"

    @property
    def study_id(self) -> str:
        """Its id."""
        ...


# A study's id, the start of one, its name (the newest of that name is meant), or the study itself.
StudyRef = str | HasStudyId


def study_id_of(connection: Connection, wanted: StudyRef) -> str:
    """Return the id of the study that is meant; a whole id is taken as it is, without a request.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: Several ids begin so.
    """
    if not isinstance(wanted, str):
        return wanted.study_id
    return wanted if _ID.fullmatch(wanted) else named_study(connection, wanted).study_id


def is_id(wanted: StudyRef) -> bool:
    """Return whether it tells the id already, with nothing to be looked up."""
    return not isinstance(wanted, str) or bool(_ID.fullmatch(wanted))


def named_study(connection: Connection, wanted: str) -> StudyView:
    """Return the study of that name, or whose id begins so.

    Args:
        connection: To the server to look on.
        wanted: What the user typed, not a whole id. A name wins over the start of an id; the newest study of a name
            is meant.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: Several ids begin so.
    """
    segment(wanted)  # refuses what can be no name
    named = _page(connection, name=wanted, limit=1).items
    if named:
        return named[0]
    if _ID_START.fullmatch(wanted):
        studies = walk(lambda token: _page(connection, page_token=token))
        found = [study for study in islice(studies, _MAX_SEARCHED) if study.study_id.startswith(wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(f"{study.study_id} ({study.name})" for study in found[:_MAX_NAMED])
            more = ", …" if len(found) > _MAX_NAMED else ""
            msg = f"{wanted!r} begins {len(found)} ids: {several}{more}; give more of it"
            raise InvalidInputError(msg, code="study.ambiguous")
    names = list(dict.fromkeys(study.name for study in _page(connection, limit=20).items))
    known = f"the latest are {', '.join(map(repr, names[:_MAX_NAMED]))}" if names else "the server has none yet"
    msg = f"there is no study {wanted!r}; {known}"
    raise NotFoundError(msg, code="study.not_found")


def trial_id_of(connection: Connection, wanted: str) -> str:
    """Return the id of a trial named by its id, or as STUDY#NUMBER such as digits#12.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: It is neither.
    """
    if _ID.fullmatch(wanted):
        return wanted
    study, _, number = wanted.rpartition("#")
    if not study or not number.isdecimal():
        msg = f"a trial is named by its id or as STUDY#NUMBER such as digits#12, received {wanted!r}"
        raise InvalidInputError(msg, code="trial.bad_name")
    study_id = study_id_of(connection, study)
    for trial in walk(lambda token: _trials(connection, study_id, token)):
        if trial.number == int(number):
            return trial.trial_id
    msg = f"study {study!r} has no trial number {number}"
    raise NotFoundError(msg, code="trial.not_found")


def _page(connection: Connection, **params: object) -> Page[StudyView]:
    return connection.call(Page[StudyView], "GET", "/v1/studies", params=params)


def _trials(connection: Connection, study_id: str, token: str | None) -> Page[Trial]:
    params = {"sort": "number", "order": "asc", "limit": 200, "page_token": token}
    return connection.call(Page[Trial], "GET", f"/v1/studies/{study_id}/trials", params=params)
