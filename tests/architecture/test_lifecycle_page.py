"""The charts in docs/lifecycle.md are the transition tables of the code, arrow by arrow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

import pytest

from hpsearch.domain.lifecycle import (
    FINAL,
    FINISHED,
    MOVES,
    STUDY_FINAL,
    STUDY_MOVES,
    EndReason,
    StudyEvent,
    StudyState,
    TrialEvent,
    TrialState,
    sources,
    study_sources,
)
from tests.architecture.checkout import ROOT

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)

_PAGE = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
_CHARTS = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", _PAGE, flags=re.DOTALL)
_ARROW = re.compile(r"^\s*(\S+) --> (\S+?)(?:: (\S+))?\s*$")


def _arrows(chart: str) -> set[tuple[str, str, str | None]]:
    matches = [_ARROW.match(line) for line in chart.splitlines() if line.strip()]
    assert all(matches), "every line of a chart is an arrow"
    return {(match[1], match[2], match[3]) for match in matches if match}


def _of_table(
    moves: Mapping[tuple[State, Event], State], final: Iterable[StrEnum], first: str
) -> set[tuple[str, str, str | None]]:
    arrows = {(before.value, after.value, event.value) for (before, event), after in moves.items()}
    return arrows | {("[*]", first, None)} | {(state.value, "[*]", None) for state in final}


@pytest.mark.parametrize(
    ("chart", "expected"),
    [
        (0, _of_table(MOVES, FINAL, "WAITING")),
        (1, _of_table(STUDY_MOVES, STUDY_FINAL, "RUNNING")),
    ],
    ids=["trial", "study"],
)
def test_the_chart_is_the_table(chart: int, expected: set[tuple[str, str, str | None]]):
    drawn = _arrows(_CHARTS[chart])
    assert drawn - expected == set(), "drawn, but not in the code"
    assert expected - drawn == set(), "in the code, but not drawn"


def test_a_missing_arrow_would_be_noticed():
    chart = _CHARTS[0].replace("RUNNING --> WAITING: lose\n", "")
    assert _arrows(chart) != _of_table(MOVES, FINAL, "WAITING")


def test_every_event_has_one_target_and_every_state_is_reached():
    for event in TrialEvent:
        assert len({after for (_, cause), after in MOVES.items() if cause is event}) == 1, event
        assert sources(event), event
    for study_event in StudyEvent:
        assert study_sources(study_event), study_event
    assert set(MOVES.values()) | {TrialState.WAITING} == set(TrialState)
    assert set(STUDY_MOVES.values()) | {StudyState.RUNNING} == set(StudyState)


def test_final_trials_have_no_way_out_but_a_retry():
    assert {event for (before, event) in MOVES if before in FINAL} == {TrialEvent.RETRY}
    assert FINISHED < FINAL


def test_the_page_names_every_state_and_end_reason():
    for word in (*TrialState, *StudyState, *EndReason):
        assert word.value in _PAGE, word
