"""States and events of trials and studies, and the transition table of each.

Storage derives the guard of every UPDATE from these tables, so that the check and the change are one statement.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class TrialState(StrEnum):
    """Where a trial stands."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    INFEASIBLE = "INFEASIBLE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class TrialEvent(StrEnum):
    """What can happen to a trial."""

    CLAIM = "claim"
    HEARTBEAT = "heartbeat"
    COMPLETE = "complete"
    PRUNE = "prune"
    REJECT = "reject"  # diverged or out of memory: a result, INFEASIBLE
    FAIL = "fail"  # an error in training, or lost too often
    RELEASE = "release"  # the worker was told to go
    LOSE = "lose"  # the lease lapsed or the infrastructure failed
    REVIVE = "revive"  # a worker thought lost reports again, and nobody took its trial meanwhile
    CANCEL = "cancel"
    RETRY = "retry"  # a person asks for a failed trial again


class StudyState(StrEnum):
    """Where a study stands."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


class StudyEvent(StrEnum):
    """What can happen to a study."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    CANCEL = "cancel"
    FINISH = "finish"
    FAIL = "fail"
    REOPEN = "reopen"  # extend or retry-failed on a study that had ended


class EndReason(StrEnum):
    """Why a study's search ended."""

    MAX_TRIALS = "max_trials"
    WALL_TIME = "wall_time"
    DEVICE_SECONDS = "device_seconds"
    TARGET_REACHED = "target_reached"
    SPACE_EXHAUSTED = "space_exhausted"
    MAX_FAILED = "max_failed"
    NO_RESULT = "no_result"  # it was searched to its limit, and no search trial came to a result
    USER = "user"


class TrialKind(StrEnum):
    """Why a trial exists; only `search` counts towards the budget and the grid."""

    SEARCH = "search"
    BASELINE = "baseline"
    CONFIRMATION = "confirmation"
    REFIT = "refit"


# Kinds whose model files are kept whatever their values: what a study hands out, and what it is compared with.
ALWAYS_KEPT: Final = (TrialKind.BASELINE, TrialKind.REFIT)


_T, _E = TrialState, TrialEvent

MOVES: Final[dict[tuple[TrialState, TrialEvent], TrialState]] = {
    (_T.WAITING, _E.CLAIM): _T.RUNNING,
    (_T.WAITING, _E.CANCEL): _T.CANCELLED,
    (_T.RUNNING, _E.HEARTBEAT): _T.RUNNING,
    (_T.RUNNING, _E.COMPLETE): _T.COMPLETE,
    (_T.RUNNING, _E.PRUNE): _T.PRUNED,
    (_T.RUNNING, _E.REJECT): _T.INFEASIBLE,
    (_T.RUNNING, _E.FAIL): _T.FAILED,
    (_T.RUNNING, _E.RELEASE): _T.WAITING,
    (_T.RUNNING, _E.LOSE): _T.WAITING,
    (_T.WAITING, _E.REVIVE): _T.RUNNING,
    (_T.RUNNING, _E.CANCEL): _T.CANCELLED,
    (_T.FAILED, _E.RETRY): _T.WAITING,
}

_S, _V = StudyState, StudyEvent

STUDY_MOVES: Final[dict[tuple[StudyState, StudyEvent], StudyState]] = {
    (_S.RUNNING, _V.PAUSE): _S.PAUSED,
    (_S.PAUSED, _V.RESUME): _S.RUNNING,
    (_S.RUNNING, _V.STOP): _S.STOPPING,
    (_S.PAUSED, _V.STOP): _S.STOPPING,
    (_S.RUNNING, _V.CANCEL): _S.CANCELLED,
    (_S.PAUSED, _V.CANCEL): _S.CANCELLED,
    (_S.STOPPING, _V.CANCEL): _S.CANCELLED,
    (_S.RUNNING, _V.FINISH): _S.COMPLETED,
    (_S.PAUSED, _V.FINISH): _S.COMPLETED,
    (_S.STOPPING, _V.FINISH): _S.COMPLETED,
    (_S.RUNNING, _V.FAIL): _S.FAILED,
    (_S.PAUSED, _V.FAIL): _S.FAILED,
    (_S.STOPPING, _V.FAIL): _S.FAILED,
    (_S.COMPLETED, _V.REOPEN): _S.RUNNING,
    (_S.FAILED, _V.REOPEN): _S.RUNNING,
}

FINAL: Final = frozenset({_T.COMPLETE, _T.PRUNED, _T.INFEASIBLE, _T.FAILED, _T.CANCELLED})
OPEN: Final = frozenset({_T.WAITING, _T.RUNNING})
# States that use up one unit of `max_trials`.
FINISHED: Final = frozenset({_T.COMPLETE, _T.PRUNED, _T.INFEASIBLE, _T.FAILED})
# Ends of a search that are no success unless some search trial came to a result.
BY_LIMIT: Final = frozenset(
    {EndReason.MAX_TRIALS, EndReason.SPACE_EXHAUSTED, EndReason.WALL_TIME, EndReason.DEVICE_SECONDS}
)
# Ends of a search after which the study is FAILED, and nothing is confirmed or refitted.
FAILURES: Final = frozenset({EndReason.MAX_FAILED, EndReason.NO_RESULT})
STUDY_FINAL: Final = frozenset({_S.COMPLETED, _S.CANCELLED, _S.FAILED})

# Lost attempts of one trial before it is FAILED `lost_repeatedly`, if it is itself to blame.
MAX_INFRA_ATTEMPTS: Final = 5
# The same where its worker loses whatever it is given, and no other worker brings trials to an end.
MAX_LOST_ANYHOW: Final = 10


def sources(event: TrialEvent) -> tuple[TrialState, ...]:
    """Return the states in which the event may happen to a trial."""
    return tuple(state for state, cause in MOVES if cause == event)


def study_sources(event: StudyEvent) -> tuple[StudyState, ...]:
    """Return the states in which the event may happen to a study."""
    return tuple(state for state, cause in STUDY_MOVES if cause == event)
