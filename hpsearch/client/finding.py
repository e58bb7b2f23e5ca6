"""Finding the study or trial a person means by an id, the start of one, or a name."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from hpsearch.client import Client
from hpsearch.errors import InvalidInputError, NotFoundError
from hpsearch.wire.pages import StudyView, TrialView

_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID_START: Final = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
# Characters of an id that are shown: its time of creation to the millisecond, enough to be unique on most servers.
SHOWN: Final = 13
_MAX_SEARCHED: Final = 10_000
_MAX_NAMED: Final = 5


def find_study(client: Client, wanted: str) -> StudyView:
    """Return the study of that id or name, or whose id begins so.

    Args:
        client: Of the server to look on.
        wanted: What the user typed. A name wins over the start of an id; the newest study of a name is meant.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: Several ids begin so.
    """
    if _ID.fullmatch(wanted):
        return client.studies.get(wanted)
    named = client.studies.list(name=wanted, limit=1).items if wanted else ()
    if named:
        return named[0]
    if _ID_START.fullmatch(wanted):
        found = [study for study in islice(client.studies.all(), _MAX_SEARCHED) if study.study_id.startswith(wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(f"{study.study_id} ({study.name})" for study in found[:_MAX_NAMED])
            more = ", …" if len(found) > _MAX_NAMED else ""
            msg = f"{wanted!r} begins {len(found)} ids: {several}{more}; give more of it"
            raise InvalidInputError(msg, code="study.ambiguous")
    names = list(dict.fromkeys(study.name for study in client.studies.list(limit=20).items))
    known = f"the latest are {', '.join(map(repr, names[:_MAX_NAMED]))}" if names else "the server has none yet"
    msg = f"there is no study {wanted!r}; {known}"
    raise NotFoundError(msg, code="study.not_found")


def find_trial(client: Client, wanted: str) -> TrialView:
    """Return the trial of that id, or number N of a study written as STUDY#N.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: What was typed is neither.
    """
    if _ID.fullmatch(wanted):
        return client.trials.get(wanted)
    study_part, _, number = wanted.rpartition("#")
    if not study_part or not number.isdecimal():
        msg = f"a trial is named by its id or as STUDY#NUMBER such as digits#12, received {wanted!r}"
        raise InvalidInputError(msg, code="trial.bad_name")
    study = find_study(client, study_part)
    for trial in client.studies.all_trials(study.study_id, sort="number", order="asc", limit=200):
        if trial.number == int(number):
            return client.trials.get(trial.trial_id)
    msg = f"study {study.name!r} has no trial number {number}"
    raise NotFoundError(msg, code="trial.not_found")
