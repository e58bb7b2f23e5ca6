"""Problem documents: always valid, whatever the error holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.errors.error_responses import as_problem, status_of
from api.errors.field_errors import field_errors, summary
from api.errors.problem_documents import ProblemError, problem
from hpsearch import errors
from hpsearch.domain.study import StudyDefinition

_odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.just(object()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(detail=st.text(st.characters()), extra=st.dictionaries(st.text(st.characters(), max_size=8), _odd, max_size=4))
def test_any_content_makes_a_valid_document(detail: str, extra: dict[str, object]) -> None:
    answer = problem(ProblemError(422, "x.y", detail, extra=extra), "id")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    document = json.loads(bytes(answer.body), parse_constant=refuse)
    assert document["status"] == 422
    assert document["code"] == "x.y"
    document["detail"].encode()


def test_deep_and_long_content_is_cut() -> None:
    deep: list[object] = []
    for _ in range(5_000):
        deep = [deep]
    answer = problem(ProblemError(400, "x", "d" * 100_000, extra={"deep": deep}))
    assert len(answer.body) < 5_000


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidStudyError("x"), 422),
        (errors.InvalidStudyError("x", code="point.too_large"), 422),
        (errors.InvalidDatasetError("x", code="dataset.too_large"), 413),
        (errors.InvalidInputError("x", code="content.too_large"), 413),
        (errors.NotFoundError("x"), 404),
        (errors.StaleAttemptError("x"), 409),
        (errors.UnauthenticatedError("secret reason"), 401),
        (errors.ForbiddenError("x"), 403),
        (errors.LimitError("x"), 429),
        (errors.UnavailableError("x", retry_after_s=2.5), 503),
        (errors.HpsearchError("x"), 500),
    ],
)
def test_every_error_of_the_core_has_its_status(error: errors.HpsearchError, status: int) -> None:
    assert status_of(error) == status
    made = as_problem(error)
    assert made.status == status
    assert ("Retry-After" in made.headers) == (status in (429, 503))
    if status == 401:
        assert made.headers["WWW-Authenticate"] == "Bearer"
        assert "secret reason" not in made.detail
    if status == 503:
        assert made.headers["Retry-After"] == "3"


def _errors_of(definition: dict[str, object]) -> list[dict[str, str]]:
    with pytest.raises(ValidationError) as caught:
        StudyDefinition.model_validate(definition)
    return field_errors(caught.value.errors(), definition)


_GOOD: dict[str, object] = {"name": "x", "dataset": {"builtin": "iris"}, "space": {"units": 8}}


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"name": 7}, "name", "must be text, received 7"),
        ({"name": ""}, "name", "at least 1 character"),
        (
            {"budget": {"max_trials": "7"}},
            "budget.max_trials",
            "a whole number, received '7'; remove the quotes",
        ),
        ({"budget": {"max_trials": True}}, "budget.max_trials", "received true"),
        ({"budget": {"max_trials": 0}}, "budget.max_trials", "received 0"),
        ({"space": {"units": {"type": "int", "low": "x", "high": 2}}}, "space.units.low", "whole number"),
        ({"space": {"units": {"type": "int", "low": 9, "high": 2}}}, "space.units", "received low 9 and high 2"),
        ({"space": {"units": {"low": 9}}}, "space.units", "needs a type"),
        ({"typo": 1}, "typo", "is not a known field"),
        ({"parallelism": 0}, "parallelism", "received 0"),
        ({"split": {"validation": 0.7, "test": 0.5}}, "split", "leave no rows"),
    ],
)
def test_complaints_name_field_and_value(change: dict[str, object], field: str, words: str) -> None:
    found = _errors_of(_GOOD | change)
    assert [item["field"] for item in found] == [field]
    assert words in found[0]["message"]
    assert summary(found).startswith(field)


def test_missing_fields_are_all_named_and_counted() -> None:
    found = _errors_of({})
    assert {item["field"] for item in found} == {"name", "dataset", "space"}
    assert "2 more" in summary(found)


def test_many_complaints_are_cut() -> None:
    found = _errors_of(_GOOD | {f"x{i}": 1 for i in range(500)})
    assert len(found) == 51
