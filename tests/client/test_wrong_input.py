"""Whatever a person may plausibly pass, what comes back is one of the documented errors, never an accident."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hpsearch
from hpsearch import Client, Study
from hpsearch.client.objects.plots import Plots
from hpsearch.client.objects.result import Result
from hpsearch.errors import HpsearchError
from hpsearch.wire.pages import LeaderboardRow, StudyView
from tests.client.answers import DEFINITION, ROW, S1, STUDY, T1, Recorder, problem

# What people pass by mistake: a number for a name, a name for a number, nothing, a list, bytes, a function.
_WRONG: tuple[Any, ...] = (None, 3, -1, 2.5, True, "", "nb", "no/such.file", [], [1], {}, {"a": object()}, b"x", len)
# Something sensible for the arguments that are not wrong.
_RIGHT: dict[str, Any] = {
    "study": S1, "trial": T1, "dataset_id": "d1", "worker_id": "w1", "trial_id": T1, "token_id": "k1", "data": "no.csv",
    "definition": DEFINITION, "target": Path("nowhere/file"), "path": Path("nowhere/file"), "params": {"layers": 1},
    "max_trials": 10,
}  # fmt: skip
# Not for people: what the workers say, how a client is used, and what a test must not wait for.
_LEFT_OUT = {"register", "claim", "report", "upload_model", "close", "find_again", "wait", "tend_with", "events"}
_LEFT_OUT |= {"leaderboards", "patch"}


def _client() -> Client:
    return Recorder(lambda _request: problem(404, "study.not_found", "there is nothing")).client()


def _targets() -> Iterator[tuple[str, Callable[..., Any]]]:
    client = _client()
    study = Study(client, StudyView.model_validate(STUDY))
    result = Result(client, "s", LeaderboardRow.model_validate(ROW), "accuracy")
    things: dict[str, Any] = {
        "Client": client, "datasets": client.datasets, "studies": client.studies, "trials": client.trials,
        "workers": client.workers, "tokens": client.tokens, "Study": study, "Result": result,
        "Plots": Plots(client, S1, "s"),
    }  # fmt: skip
    for name, thing in things.items():
        for method, _ in inspect.getmembers(type(thing), inspect.isfunction):
            if not method.startswith("_") and method not in _LEFT_OUT:
                yield f"{name}.{method}", getattr(thing, method)
    yield "load", hpsearch.load


_METHODS = dict(_targets())


@pytest.mark.parametrize("method", _METHODS.values(), ids=_METHODS)
def test_wrong_arguments_are_told(method: Callable[..., Any]):
    parameters = {
        name: one
        for name, one in inspect.signature(method).parameters.items()
        if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    }
    needed = {name: _RIGHT.get(name, "x") for name, one in parameters.items() if one.default is one.empty}
    for name in parameters:
        for wrong in _WRONG:
            given = needed | {name: wrong}
            with contextlib.suppress(HpsearchError):  # any other is an accident
                found = method(**given)
                if isinstance(found, Iterator):
                    next(found, None)


def test_the_walk_covers_the_public_methods():
    assert len(_METHODS) > 60
    assert {
        "studies.get",
        "studies.enqueue",
        "datasets.upload",
        "Client.create",
        "Study.enqueue",
        "Plots.slice",
    } <= set(_METHODS)


def test_the_sentence_says_what_was_received_and_expected():
    client = _client()
    wrong: Any = {"layers": None}
    for call, sentence in (
        (lambda: client.studies.get(3), "Studies.get: study must be text or a study, received 3 (int)"),
        (lambda: client.datasets.upload([[1, 2]]), "Datasets.upload: data must be the path of a CSV"),
        (
            lambda: client.studies.extend(S1, "many"),
            "Studies.extend: max_trials must be a whole number, received 'many'",
        ),
        (lambda: client.studies.export(S1, "x.csv", format="xlsx"), "format must be 'csv' or 'parquet' or 'jsonl'"),
        (lambda: client.studies.enqueue(S1, wrong), "Studies.enqueue: params"),
        (lambda: Client(8000), "Client: base_url must be text or None, received 8000 (int)"),
        (lambda: hpsearch.load(None), "load: path must be text or a path, received None"),
        (lambda: client.create(name="x"), "a study needs data"),
    ):
        with pytest.raises(HpsearchError) as caught:
            call()
        assert sentence in caught.value.message
