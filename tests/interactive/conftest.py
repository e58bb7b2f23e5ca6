"""One real server with one real worker for all tests of the Python objects, and a study that has ended there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpsearch import Client, Study
from tests.e2e.stack import Stack, stack

SPACE: dict[str, Any] = {
    "layers": {"type": "int", "low": 1, "high": 2},
    "units": {"type": "int", "low": 4, "high": 16, "log": True, "per_layer": True},
    "activation": {"type": "categorical", "choices": ["relu", "tanh"]},
    "learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True},
}


def customers(n_rows: int = 120) -> pd.DataFrame:
    """A frame as people have them: numbers, texts, a category, gaps, and a label that follows from them."""
    random = np.random.default_rng(0)
    age = random.uniform(18, 80, n_rows)
    city = random.choice(["Turku", "Riga", "Porto"], n_rows).astype(object)
    label = np.where((age > 50) ^ (city == "Riga"), "leaves", "stays")
    age[::9], city[5] = np.nan, None
    frame = pd.DataFrame({"age": age, "city": city, "visits": random.integers(0, 9, n_rows)})
    frame["plan"] = pd.Categorical(random.choice(["basic", "full"], n_rows))
    frame["label"] = label
    return frame


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A server and a worker, as `hpsearch serve --workers 1` has them."""
    with stack(tmp_path_factory.mktemp("lab")) as one:
        one.work(one.serve())
        yield one


@pytest.fixture(scope="session")
def client(lab: Stack) -> Iterator[Client]:
    """Finds the server by its data directory, as a notebook does."""
    with Client(data_dir=lab.folder) as found:
        yield found


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return customers()


@pytest.fixture(scope="session")
def ended(client: Client, frame: pd.DataFrame) -> Study:
    """A study of ten search trials that has ended."""
    study = client.create(
        name="customers <b>&</b>", data=frame, target="label", space=SPACE, budget={"max_trials": 10},
        training={"max_epochs": 3}, algorithm={"kind": "random"},
    )  # fmt: skip
    return study.wait(progress=False, timeout=120)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
