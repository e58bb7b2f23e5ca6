"""The transition tables of trials and studies: nothing leaves a final state but by the events made for it."""

from __future__ import annotations

import pytest

from hpsearch.domain.lifecycle import (
    FINAL,
    FINISHED,
    MOVES,
    OPEN,
    STUDY_FINAL,
    STUDY_MOVES,
    StudyEvent,
    StudyState,
    TrialEvent,
    TrialState,
    sources,
    study_sources,
)


def test_a_trial_is_open_or_final():
    assert set(TrialState) == OPEN | FINAL
    assert not OPEN & FINAL
    assert FINAL - {TrialState.CANCELLED} == FINISHED


def test_only_a_retry_leaves_a_final_state():
    assert {move for move in MOVES if move[0] in FINAL} == {(TrialState.FAILED, TrialEvent.RETRY)}
    assert sources(TrialEvent.CANCEL) == (TrialState.WAITING, TrialState.RUNNING)
    assert {event for state, event in STUDY_MOVES if state in STUDY_FINAL} == {StudyEvent.REOPEN}


@pytest.mark.parametrize("event", TrialEvent)
def test_every_trial_event_can_happen_and_leads_to_one_state(event: TrialEvent):
    assert sources(event)
    assert len({MOVES[state, event] for state in sources(event)}) == 1


@pytest.mark.parametrize("event", StudyEvent)
def test_every_study_event_can_happen_and_leads_to_one_state(event: StudyEvent):
    assert study_sources(event)
    assert len({STUDY_MOVES[state, event] for state in study_sources(event)}) == 1


def test_every_state_is_reached_from_the_first():
    for first, moves, states in (
        (TrialState.WAITING, MOVES, set(TrialState)),
        (StudyState.RUNNING, STUDY_MOVES, set(StudyState)),
    ):
        reached, n_before = {first}, 0
        while len(reached) > n_before:
            n_before = len(reached)
            reached |= {after for (state, _), after in moves.items() if state in reached}
        assert reached == states
