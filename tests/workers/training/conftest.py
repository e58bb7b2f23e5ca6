"""A reference engine shared by all tests of training, and small data sets as workers get them."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.metrics import direction_of
from hpsearch.domain.selection import Selection
from hpsearch.domain.study import Split
from hpsearch.domain.task import TASKS, TaskName
from hpsearch.domain.training import Training
from hpsearch.wire.claims import ClaimedTrial, StudyBrief
from tests.workers.training.memory import Builtin, MakeTask, Memory, Run, Store, Stored
from workers.training.engine.task import TrialTask

if TYPE_CHECKING:
    from workers.training.reference.engine import ReferenceEngine

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            # TensorFlow 2.21's tensors under numpy 2.4, in every conversion to numpy.
            item.add_marker(
                pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
            )


@pytest.fixture(scope="session", autouse=True)
def _tensorflow() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras  # noqa: F401 - imported here, where its own warnings do not count
        import tensorflow as tf  # noqa: F401 - as above


@pytest.fixture(scope="session")
def engine(_tensorflow: None) -> ReferenceEngine:
    from workers.training.reference.engine import ReferenceEngine

    return ReferenceEngine()


@pytest.fixture(scope="session")
def exact_engine(_tensorflow: None) -> ReferenceEngine:
    from workers.training.reference.engine import ReferenceEngine

    return ReferenceEngine(dtype="float64")


def stored(directory: Path, frame: pl.DataFrame, *, target: str, task: TaskName | None = None) -> Stored:
    from hpsearch.data.reading.raw import RawColumns
    from hpsearch.ingest.content import write_content
    from hpsearch.ingest.describe import describe

    described = describe(RawColumns(frame, typed=True), target=target, task=task)
    content = directory / f"{hashlib.sha256(str(frame).encode()).hexdigest()[:16]}-{target}-{task}.parquet"
    if not content.exists():
        write_content(described.frame, content)
    return Stored(content, described.profile, hashlib.sha256(content.read_bytes()).hexdigest())


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contents")


@pytest.fixture(scope="session")
def store(data_dir: Path) -> Store:
    """Store a frame: `store(frame, target=…, task=…)`."""

    def keep(frame: pl.DataFrame, *, target: str, task: TaskName | None = None) -> Stored:
        return stored(data_dir, frame, target=target, task=task)

    return keep


@pytest.fixture(scope="session")
def builtin(data_dir: Path) -> Builtin:
    """One of scikit-learn's own sets, by name."""
    from hpsearch.ingest.intake import ingest_named

    kept: dict[str, Stored] = {}

    def load(name: str) -> Stored:
        if name not in kept:
            taken = ingest_named("builtin", name, data_dir)
            digest = hashlib.sha256(taken.content.read_bytes()).hexdigest()
            kept[name] = Stored(taken.content, taken.profile, digest)
        return kept[name]

    return load


@pytest.fixture(scope="session")
def linear(store: Store) -> Stored:
    """120 rows, three real columns, a linear target with noise."""
    random = np.random.default_rng(7)
    x = random.normal(size=(120, 3)) * [1.0, 20.0, 0.1] + [0.0, 500.0, -3.0]
    y = 40.0 + 3.0 * x[:, 0] - 0.5 * x[:, 1] + 8.0 * x[:, 2] + random.normal(size=120) * 0.3
    return store(pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y}), target="y", task="regression")


@pytest.fixture(scope="session")
def mixed_frame() -> pl.DataFrame:
    """300 rows: numbers, truth values, texts, missing values of each, awkward names; the label follows from them."""
    random = np.random.default_rng(11)
    n = 300
    size = random.normal(50.0, 12.0, n)
    stamp = 1.7e9 + random.integers(0, 10**7, n).astype(float)
    member = random.integers(0, 2, n).astype(float)
    colour = random.choice(["red", "green", "blue, dark", "naïve\nline"], n)
    city = random.choice(["Rome", "Oslo", "[UNK]"], n)
    score = (size - 50) / 12 + 1.5 * member + np.where(colour == "red", 2.0, 0.0) - np.where(city == "Oslo", 1.5, 0.0)
    frame = pl.DataFrame(
        {
            "size": np.where(random.random(n) < 0.1, np.nan, size),
            "time stamp": stamp,
            "member/guest": np.where(random.random(n) < 0.1, np.nan, member),
            "constant": np.full(n, 3.0),
            "colour": [None if gone else text for gone, text in zip(random.random(n) < 0.1, colour, strict=True)],
            "mlp_output": list(city),
            "label": np.where(score + random.normal(0, 0.3, n) > 0.7, "yes", "no").tolist(),
        }
    )
    return frame.with_columns(pl.col("size").fill_nan(None), pl.col("member/guest").fill_nan(None))


@pytest.fixture(scope="session")
def mixed(store: Store, mixed_frame: pl.DataFrame) -> Stored:
    return store(mixed_frame, target="label")


@pytest.fixture
def make_task(tmp_path: Path) -> MakeTask:
    """A task: `make_task(stored, params, metric=…, epochs=…, …)`."""
    number = iter(range(1_000))

    def make(
        data: Stored,
        params: dict[str, Any],
        *,
        metric: str | None = None,
        epochs: int = 3,
        seed: int = 1,
        kind: TrialKind = TrialKind.SEARCH,
        split: Split | None = None,
        model: bool = False,
        data_order_seed: int = 0,
        refit_epochs: int | None = None,
        selection: Selection | None = None,
        split_seed: int | None = None,
        **training: Any,
    ) -> TrialTask:
        metric = metric or TASKS[data.profile.task].default_metric
        n = next(number)
        trial = ClaimedTrial(
            trial_id=f"trial-{n}",
            study_id="study",
            number=n,
            kind=kind,
            attempt=1,
            params=params,
            seed=seed,
            refit_epochs=refit_epochs,
            selection=selection,
            split_seed=split_seed,
        )
        brief = StudyBrief(
            study_id="study",
            name="a study",
            dataset_id="data",
            dataset_digest=data.digest,
            task=data.profile.task,
            split=split or Split(),
            metric=metric,
            direction=direction_of(metric),
            training=Training(**({"early_stopping": None} | training), max_epochs=epochs),
            data_order_seed=data_order_seed,
        )
        return TrialTask(trial, brief, data.content, data.profile, tmp_path / f"{n}.keras" if model else None)

    return make


@pytest.fixture
def run(engine: ReferenceEngine, make_task: MakeTask) -> Run:
    """Train one trial and return what its sink got: `run(stored, params, …)` as for `make_task`."""

    def train(data: Stored, params: dict[str, Any], *, sink: Memory | None = None, **rest: Any) -> Memory:
        memory = sink or Memory()
        engine.train([make_task(data, params, **rest)], memory)
        return memory

    return train
