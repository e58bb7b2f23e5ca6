"""The fused engine on a GPU, in some ten minutes: its contract, and whole lists of trials with the programs it chose.

    python -m benchmarks.gpu                 # on a machine with a GPU
    python -m benchmarks.gpu --quick         # a tiny size, to see on any machine that all of it runs
    python -m benchmarks.gpu --save gpu.json

Each list is trained in two processes of its own, one after another: the first start, and a later one, for which
programs are kept on disk if TensorFlow lets us. The clock starts with the process. `bayesian` stands for a search that
has an eighth of its budget open: the next trial is there when one has ended; the search's own time is not in it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.training_arms.prepare import prepare, profile_of
from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.metrics import direction_of
from hpsearch.domain.space import Space
from hpsearch.domain.study import Split
from hpsearch.domain.task import TASKS
from hpsearch.domain.training import EarlyStopping, LrDecay, Training
from hpsearch.wire.claims import ClaimedTrial, StudyBrief

if TYPE_CHECKING:
    from hpsearch.domain.trial import Measurement, Outcome
    from workers.training.engine.task import TrialTask

_EXAMPLE: Final = Path(__file__).parents[1] / "examples" / "full.yaml"
_LIMIT_S: Final = 900


@dataclass(frozen=True)
class Load:
    """A list of trials.

    Attributes:
        data: Name of a set of `benchmarks.training_arms.workload`.
        n_trials: Of the list.
        n_open: Trials that are there at the same time at most.
        about: For the heading.
    """

    data: str
    n_trials: int
    n_open: int
    about: str


LOADS: Final = {
    "random": Load("digits", 512, 256, "full.yaml, random search"),
    "bayesian": Load("digits", 256, 32, "full.yaml, bayesian search: an eighth open"),
    "churn": Load("churn", 512, 256, "churn-size: one to four layers of 384, batches of 256, 20 epochs"),
}
# On a CPU a list of the real size would take hours.
_QUICK: Final = {name: Load(load.data, 8, 4, load.about) for name, load in LOADS.items()}


def _study(name: str, load: Load, *, is_quick: bool) -> StudyBrief:
    if load.data == "churn":
        space = Space.model_validate(
            {
                "layers": {"type": "int", "low": 1, "high": 4},
                "units": 384,
                "batch_size": 256,
                "optimizer": "adamw",
                "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
                "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-2, "log": True},
            }
        )
        training = Training(max_epochs=2 if is_quick else 20, early_stopping=None)
        task, split = "binary", Split(validation=0.25, test=0.0)
    else:
        from hpsearch.studyfile.reader import load_study

        definition = load_study(_EXAMPLE).definition()
        space, split, task = definition.space, definition.split, "multiclass"
        training = definition.training
        if is_quick:
            training = Training(max_epochs=3, early_stopping=EarlyStopping(patience=2), lr_decay=LrDecay(patience=1))
    metric = "accuracy" if task == "multiclass" else TASKS["binary"].default_metric
    return StudyBrief(
        study_id=name,
        name=name,
        dataset_id=load.data,
        dataset_digest=load.data,
        task=task,
        split=split,
        metric=metric,
        direction=direction_of(metric),
        training=training,
        data_order_seed=0,
        space=space,
        max_trials=load.n_trials,
        open_trials=load.n_open,
    )


class _Sink:
    """Has so many trials open and no more, and counts what comes of them."""

    def __init__(self, waiting: deque[TrialTask], n_open: int) -> None:
        self._waiting = waiting
        self._room = n_open
        self.outcomes: list[Outcome] = []
        self.first_s = 0.0

    def more(self, n: int) -> Sequence[TrialTask]:
        given = [self._waiting.popleft() for _ in range(min(n, self._room, len(self._waiting)))]
        self._room -= len(given)
        return given

    def wait(self, timeout_s: float) -> None:
        time.sleep(timeout_s)

    def trained(self, task: TrialTask) -> None:
        del task

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        del task, measurement

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        del task, model
        self._room += 1
        self.first_s = self.first_s or time.perf_counter()
        self.outcomes.append(outcome)

    def should_stop(self, task: TrialTask) -> bool:
        del task
        return False

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        del task, value
        return False


def _train(name: str, folder: Path, programs: Path, *, is_quick: bool) -> dict[str, Any]:
    """Train a list in this process and return what was measured, the clock of its start left to the caller."""
    from workers.training.keras_networks.quick_start import quick_start

    with quick_start():
        from workers.training.fused.graph.compile_cache import enable_compile_cache
        from workers.training.fused.graph.xla_flags import compile_exactly

        compile_exactly()
        enable_compile_cache(programs)
        from workers.training.engine.task import TrialTask
        from workers.training.fused.engine import FusedEngine
        from workers.training.fused.planning.space_points import points
    log: list[str] = []
    engine = FusedEngine(explain=log.append, programs=programs)
    load = (_QUICK if is_quick else LOADS)[name]
    study = _study(name, load, is_quick=is_quick)
    assert study.space is not None
    profile = profile_of(folder)
    waiting = deque(
        TrialTask(
            ClaimedTrial(
                trial_id=str(number),
                study_id=name,
                number=number,
                kind=TrialKind.SEARCH,
                attempt=1,
                params=params,
                seed=number + 1,
            ),
            study,
            folder / "content.parquet",
            profile,
        )
        for number, params in enumerate(islice(points(study.space, 7), load.n_trials))
    )
    sink = _Sink(waiting, load.n_open)
    began_s = time.perf_counter()
    while waiting:
        # As the trainer process does: what comes later is trained by another call.
        engine.train(sink.more(engine.capacity), sink)
    values = [outcome.value for outcome in sink.outcomes if outcome.value is not None]
    return {
        "device": engine.device.name,
        "kind": engine.device.kind,
        "n_trials": len(sink.outcomes),
        "states": {state: sum(o.state == state for o in sink.outcomes) for state in {o.state for o in sink.outcomes}},
        "epochs": sum(outcome.epochs or 0 for outcome in sink.outcomes),
        "first_s": sink.first_s - began_s,
        "trained_s": time.perf_counter() - began_s,
        "filled": engine.slot_usage.share,
        "best": max(values, default=None),
        "mean": sum(values) / len(values) if values else None,
        "log": log,
    }


def _run(name: str, folder: Path, programs: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train a list in a process of its own and return what was measured."""
    arguments = ["--list", name, "--folder", str(folder), "--programs", str(programs)]
    began_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.gpu", *arguments, *(["--quick"] if options.quick else [])],
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
    whole_s = time.perf_counter() - began_s
    if done.returncode != 0:
        return {"failed": done.stderr[-2_000:]}
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured | {"whole_s": whole_s, "trials_per_hour": 3600 * measured["n_trials"] / whole_s}


def _contract(*, is_quick: bool) -> dict[str, Any]:
    """Run the points of the contract that take seconds, and of those that take minutes a part."""
    points = "1" if is_quick else "1,3,5"
    began_s = time.perf_counter()
    command = [sys.executable, "-W", "ignore", "-m", "workers.training.fused.verify", "--points", points, "--all"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    found: dict[str, Any] = {"points": points, "holds": done.returncode == 0, "log": done.stdout}
    if not is_quick:
        script = (
            "from workers.training.fused.graph.xla_flags import compile_exactly; compile_exactly()\n"
            "from workers.training.fused.verify import curves\n"
            "worst = [f for f in curves.check(['breast_cancer', 'digits'], every=4) if not f.holds]\n"
            "print([(f.what, f.worst, f.bound) for f in worst]); raise SystemExit(len(worst) > 0)"
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT_S,
        )
        found |= {"curves_hold": done.returncode == 0, "curves": done.stdout or done.stderr[-2_000:]}
    return found | {"took_s": time.perf_counter() - began_s}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _report(name: str, about: str, start: str, found: dict[str, Any]) -> None:
    if "failed" in found:
        _say(f"\n{name}, {start}: FAILED\n{found['failed']}")
        return
    _say(
        f"\n{name} ({about}), {start} on {found['device']}\n"
        f"  {found['n_trials']} trials in {found['whole_s']:.1f} s from the start of the process: "
        f"{found['trials_per_hour']:,.0f} trials/h; {found['trained_s']:.1f} s of it training, first result after "
        f"{found['first_s']:.1f} s of that\n"
        f"  slots filled {found['filled']:.0%}; {found['epochs']:,} epochs, {found['states']}, best {found['best']}, "
        f"mean {found['mean']}"
    )
    for line in found["log"]:
        if line.startswith(("programs for", "a program is", "a pack of", "compiled programs", "fused training")):
            _say(f"  | {line}")


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tiny size, on any machine")
    parser.add_argument("--lists", default=",".join(LOADS), help="which, separated by commas (default: %(default)s)")
    parser.add_argument("--skip-contract", action="store_true", help="measure only")
    parser.add_argument("--save", type=Path, help="write everything to a file")
    for own in ("--list", "--folder", "--programs"):
        parser.add_argument(own, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list:
        found = _train(options.list, Path(options.folder), Path(options.programs), is_quick=options.quick)
        _say(json.dumps(found))
        return
    everything: dict[str, Any] = {"loads": {name: asdict(load) for name, load in LOADS.items()}}
    with tempfile.TemporaryDirectory() as scratch:
        if not options.skip_contract:
            everything["contract"] = found = _contract(is_quick=options.quick)
            _say(found.pop("log"))
            _say(f"contract, points {found['points']}: {found}")
        for name in options.lists.split(","):
            load = (_QUICK if options.quick else LOADS)[name]
            folder = Path(scratch) / load.data
            if not folder.exists():
                folder.mkdir()
                prepare(load.data, folder)
            for start in ("first start", "later start"):
                found = _run(name, folder, Path(scratch) / f"programs-{name}", options)
                everything[f"{name}, {start}"] = found
                _report(name, load.about, start, found)
    if options.save:
        options.save.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
