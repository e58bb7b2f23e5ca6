"""The one sentence about a study that deserves attention: what is wrong, and what to do."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import Final

from hpsearch.domain.lifecycle import FAILURES, STUDY_FINAL, EndReason, StudyState, TrialKind, TrialState
from hpsearch.domain.trial import Trial
from hpsearch.service.queue.blame import said
from hpsearch.storage.conditions import Wanted
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Transaction

# A study without a heartbeat of any worker for this long gets a note.
NO_WORKER: Final = timedelta(seconds=60)


def note_of(tx: Transaction, study: StudyRecord, counts: dict[str, int]) -> str | None:
    """Return the sentence, without a full stop at its end; None when nothing deserves attention.

    Args:
        tx: Read in the same transaction as the study.
        study: Which.
        counts: Its trials by state, all kinds.
    """
    if study.end_reason in FAILURES and study.state == StudyState.FAILED:
        return _of_failed(tx, study, counts)
    if study.trouble is not None and study.state not in STUDY_FINAL:
        return study.trouble
    if study.advice is not None:
        return study.advice
    if study.state in STUDY_FINAL or study.state == StudyState.PAUSED or counts[TrialState.RUNNING]:
        return None
    lonely = tx.at - study.created_at >= NO_WORKER and not tx.workers.any_useful(tx.at - NO_WORKER)
    if counts[TrialState.WAITING] and lonely:
        return "trials wait, but no worker has been heard of for a minute: start one with `hpsearch worker`"
    return None


def _of_failed(tx: Transaction, study: StudyRecord, counts: dict[str, int]) -> str:
    """Return what a study that failed says of its trials, and which of them to look at first."""
    name = shlex.quote(study.name)
    what = f"{counts[TrialState.FAILED]:,} trials failed"
    if study.end_reason == EndReason.NO_RESULT:
        only = "only a baseline" if study.best_trial_id is not None else "no trial"
        what = f"{only} came to a result: {counts[TrialState.FAILED]:,} failed"
        if counts[TrialState.INFEASIBLE]:
            what += f", {counts[TrialState.INFEASIBLE]:,} diverged or did not fit into memory"
    failed = _first(tx, study, TrialState.FAILED)
    if failed is not None:
        why = said(failed.cause, failed.detail)
        look = f"`hpsearch trial {name}#{failed.number}` shows why trial {failed.number} did ({why})"
        return f"{what}; {look}, and `hpsearch retry-failed {name}` tries them again once that is mended"
    infeasible = _first(tx, study, TrialState.INFEASIBLE)
    if infeasible is not None:
        why = said(infeasible.cause, infeasible.detail)
        look = f"`hpsearch trial {name}#{infeasible.number}` shows the first ({why})"
        return f"{what}; {look}: search lower learning rates or smaller networks in a new study"
    return f"{what}: no trial ended before its limit was met; `hpsearch workers list` shows who could train"


def _first(tx: Transaction, study: StudyRecord, state: TrialState) -> Trial | None:
    wanted = Wanted((state,), (TrialKind.SEARCH,))
    found, _ = tx.trials.page(study.id, limit=1, page_token=None, wanted=wanted)
    return found[0] if found else None
