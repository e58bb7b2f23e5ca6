"""Events of a study, and what they say of a trial."""

from __future__ import annotations

from typing import Any

from hpsearch.storage.store import Transaction
from hpsearch.storage.study_lock import LockedStudy


def log(tx: Transaction, event: str, study: LockedStudy, trial_uid: str | None = None, /, **data: Any) -> None:
    """Write one event of a study."""
    tx.events.add(event, study_id=study.id, trial_uid=trial_uid, data=data)
