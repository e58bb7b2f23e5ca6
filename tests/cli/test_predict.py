"""`hpsearch predict`: what is printed of predictions; the predictions themselves are the trainer's own tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hpsearch import _layout
from hpsearch.errors import InvalidInputError
from tests.cli.conftest import Said

Run = Callable[..., Said]


@dataclass(frozen=True)
class Prediction:
    value: str | float
    probabilities: dict[str, float] | None = None


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    model, data = tmp_path / "m.keras", tmp_path / "d.csv"
    model.write_bytes(b"")
    data.write_text("")
    return model, data


def predictor(monkeypatch: pytest.MonkeyPatch, answer: Callable[[Path, Path], list[Prediction]]) -> None:
    def load(name: str) -> Any:
        assert name == "workers.training.model_files.predict"
        return SimpleNamespace(predict_file=answer)

    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setattr(_layout, "load", load)


def test_one_prediction_per_line(hpsearch: Run, monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]):
    def answer(_model: Path, _data: Path) -> list[Prediction]:
        assert os.environ["KERAS_BACKEND"] == "tensorflow"
        os.write(2, b"TensorFlow greets on the file descriptor itself")
        return [Prediction("yes"), Prediction('a, "b"'), Prediction(152.123456789), Prediction(1e-7), Prediction(3.0)]

    predictor(monkeypatch, answer)
    said = hpsearch("predict", *files)
    assert said.code == 0
    assert said.out.splitlines() == ["prediction", "yes", '"a, ""b"""', "152.123457", "1e-07", "3"]
    assert said.err == ""


def test_no_label_steers_the_terminal(hpsearch: Run, monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]):
    predictor(monkeypatch, lambda _m, _d: [Prediction("b\x1b[2J")])
    assert hpsearch("predict", *files).out.splitlines()[1] == "b\x1b[2J", "a pipe gets what there is"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert hpsearch("predict", *files).out.splitlines()[1] == "b\\x1b[2J"


def test_a_file_with_the_probabilities(
    hpsearch: Run, monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], tmp_path: Path
):
    found = [Prediction("yes", {"no": 0.25, "yes": 0.75}), Prediction("no", {"no": 0.9, "yes": 0.1})]
    predictor(monkeypatch, lambda _m, _d: found)
    said = hpsearch("predict", *files, "--probabilities", "--out", "p.csv")
    assert (said.code, said.out, said.err) == (0, "", "2 predictions written to p.csv.\n")
    assert (tmp_path / "p.csv").read_text() == "prediction,probability_no,probability_yes\nyes,0.25,0.75\nno,0.9,0.1\n"
    predictor(monkeypatch, lambda _m, _d: [Prediction(2.5)])
    said = hpsearch("predict", *files, "--probabilities")
    assert (said.code, said.out) == (1, "")
    assert "predicts a number and knows no probabilities" in said.err


@pytest.mark.parametrize("missing", ["polars", "keras", "tensorflow"])
def test_a_missing_package_is_named_with_what_to_install(
    hpsearch: Run, monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], missing: str
):
    def answer(_model: Path, _data: Path) -> list[Prediction]:
        msg = f"No module named {missing!r}"
        raise ModuleNotFoundError(msg, name=missing)

    predictor(monkeypatch, answer)
    said = hpsearch("predict", *files)
    assert (said.code, said.out) == (1, "")
    what = f"The part that predicts is not installed here (no module {missing})"
    assert said.err == f"Error: {what}: run  pip install 'hpsearch[worker]'\n"


def test_json_has_the_probabilities(hpsearch: Run, monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]):
    predictor(monkeypatch, lambda _m, _d: [Prediction("yes", {"no": 0.25, "yes": 0.75}), Prediction(2.5)])
    assert hpsearch("predict", *files, "--json").json == {
        "predictions": [
            {"value": "yes", "probabilities": {"no": 0.25, "yes": 0.75}},
            {"value": 2.5, "probabilities": None},
        ]
    }


def test_refusals_come_through_and_stderr_is_back(
    hpsearch: Run, monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], tmp_path: Path
):
    def answer(_model: Path, _data: Path) -> list[Prediction]:
        msg = "the data lack 2 of the 3 columns the model reads: a, b; add them, under these names"
        raise InvalidInputError(msg)

    predictor(monkeypatch, answer)
    said = hpsearch("predict", *files)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("Error: the data lack 2 of the 3 columns")
    said = hpsearch("predict", tmp_path / "nix.keras", files[1])
    assert said.err == f"Error: {tmp_path / 'nix.keras'} can not be read: there is no such file\n"
    said = hpsearch("predict", files[0], tmp_path)
    assert "it is not a file" in said.err
