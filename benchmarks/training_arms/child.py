"""One measured process: trains a job's trials its arm's way, stores the results, and says what it cost.

Started by `benchmarks.training_arms.launch`; an arm is imported here only when it is asked for.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.training_arms.job import NATIVE_ARMS, ONE_THREAD, Job, Report
from benchmarks.training_arms.ledger import Ledger, Mark


def main() -> None:
    """Do what the arguments say: `train JOB REPORT`, `prepare NAME FOLDER`, `rate FILE` or `packs JOB SIZES FILE`."""
    match sys.argv[1:]:
        case ["train", job, report]:
            _train(Job.read(Path(job))).write(Path(report))
        case ["prepare", name, folder]:
            from benchmarks.training_arms.prepare import prepare

            prepare(name, Path(folder))
        case ["rate", file]:
            Path(file).write_text(json.dumps(_rate()))
        case ["packs", job, sizes, file]:
            Path(file).write_text(json.dumps(_packs(Job.read(Path(job)), [int(size) for size in sizes.split(",")])))
        case other:
            msg = f"expected one of train, prepare, rate, packs and its files, received {other}"
            raise SystemExit(msg)


def _train(job: Job) -> Report:
    if job.arm == "keras-cores":
        return _in_processes(job)
    ledger, log = Ledger(job.results), list[str]()
    began, device_peak_bytes = None, 0
    if job.arm in ("keras-1", "keras-tuner", "optuna"):
        from benchmarks.training_arms import keras_arms

        train = {"keras-1": keras_arms.loop, "keras-tuner": keras_arms.with_tuner, "optuna": keras_arms.with_optuna}
        train[job.arm](job, ledger)
    else:
        from benchmarks.training_arms import engine_arms

        if job.arm == "reference":
            engine_arms.reference(job, ledger)
        elif job.arm == "native":
            engine_arms.native(job, ledger, log)
        elif job.arm == "native-warm":
            began = engine_arms.native_warm(job, ledger, log)
        elif job.arm == "fused-warm":
            began = engine_arms.fused_warm(job, ledger, log)
        else:
            engine_arms.fused(job, ledger, log)
        stored = Mark.now()
        # The native engine never imports TensorFlow, and this would.
        device_peak_bytes = 0 if job.arm in NATIVE_ARMS else engine_arms.device_peak_bytes()
        return _report(ledger, stored, began, device_peak_bytes, log)
    return _report(ledger, Mark.now(), began, device_peak_bytes, log)


def _report(ledger: Ledger, stored: Mark, began: Mark | None, device_peak_bytes: int, log: list[str]) -> Report:
    assert ledger.first is not None
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Report(began, ledger.first, stored, 1, peak_bytes, device_peak_bytes, tuple(log))


def _in_processes(job: Job) -> Report:
    """Deal the list out to several processes of the plain loop, and wait for all."""
    n_processes = min(job.n_processes, len(job.trials))
    running = []
    for place in range(n_processes):
        share = replace(job, arm="keras-1", trials=job.trials[place::n_processes])
        asked, told = job.scratch / f"{place}.job", job.scratch / f"{place}.report"
        share.write(asked)
        command = [sys.executable, "-m", __spec__.name, "train", str(asked), str(told)]
        running.append((subprocess.Popen(command, env=os.environ | ONE_THREAD), told))
    ends = [process.wait() for process, _ in running]
    if any(ends):
        msg = "one of the processes failed; its own words are above"
        raise SystemExit(msg)
    stored = Mark.now()
    reports = [Report.read(told) for _, told in running]
    first = Mark(max(report.first.at_s for report in reports), sum(report.first.cpu_s for report in reports))
    return Report(None, first, stored, n_processes, sum(report.peak_bytes for report in reports))


def _rate() -> dict[str, object]:
    from workers.training.fused.planning.device_profile import matrix_rate, this_device
    from workers.training.keras_networks import runtime

    # In full float32, as training does; a GPU's TF32 is five times as fast.
    runtime.configure()
    device = this_device()
    return {"kind": device.kind, "name": device.name, "rate": matrix_rate(device.kind)}


def _packs(job: Job, sizes: list[int]) -> list[tuple[int, float]]:
    from benchmarks.training_arms.engine_arms import throughput

    return [(size, throughput(job, size, [])) for size in sizes]


if __name__ == "__main__":
    main()
