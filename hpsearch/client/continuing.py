"""Get or create: the study that is there already for a definition, or a new one."""

from __future__ import annotations

import uuid
from itertools import islice
from typing import TYPE_CHECKING, Final

from hpsearch.domain.lifecycle import StudyState
from hpsearch.domain.study import StudyDefinition
from hpsearch.wire.pages import StudyView

if TYPE_CHECKING:
    from hpsearch.client.client import Client

# Studies of one name that are looked through for the same definition.
_MAX_COMPARED: Final = 500


def create(client: Client, definition: StudyDefinition) -> StudyView:
    """Return a new study; a lost answer makes no second one.

    Raises:
        InvalidStudyError: The server finds something wrong with it.
    """
    return client.studies.create(definition, idempotency_key=str(uuid.uuid4()))


def same_study(client: Client, definition: StudyDefinition) -> StudyView | None:
    """Return the newest study of exactly this definition that neither failed nor was cancelled, or None."""
    wanted = definition.model_dump()
    for study in islice(client.studies.all(name=definition.name), _MAX_COMPARED):
        usable = study.state not in (StudyState.CANCELLED, StudyState.FAILED)
        if usable and study.definition.model_dump() == wanted:
            return study
    return None
