"""What the device at hand can do: measured in a moment, once per process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import psutil
import tensorflow as tf

from workers.devices import cpu_cores

# Side of the measured product: big enough to show the full rate, small enough to take milliseconds on a CPU.
_SIDE: Final = {"cpu": 768, "gpu": 4096}
_N_PRODUCTS: Final = 3
_GPU_LANES: Final = 4
# Of the memory that is free when the engine starts.
_MEMORY_SHARE: Final = 0.5


@dataclass(frozen=True)
class Machine:
    """The device that trains, in the terms of the cost model.

    Attributes:
        kind: `cpu` or `gpu`.
        name: For the log.
        n_lanes: Packs worth running at the same time: CPU cores, or 4 on a GPU, so that one computes while others are
            made ready and scored by the host.
        rate: Multiply-adds of float32 matrices counted as 2, per second and lane.
        cache_bytes: What a lane's pack should fit into to run at that rate; 0 where it does not matter.
        memory_bytes: What all packs together may take.
        step_s: Overhead of a gradient step, whatever its size.
        call_s: Overhead of an epoch: Python, transfers, scoring.
        compile_s: To trace and compile a program.
        load_s: To trace a program and load what was compiled before.
    """

    kind: Literal["cpu", "gpu"]
    name: str
    n_lanes: int
    rate: float
    cache_bytes: int
    memory_bytes: int
    step_s: float
    call_s: float
    compile_s: float
    load_s: float


@cache
def this_machine() -> Machine:
    """Return the device TensorFlow computes on by default, with its matrix rate measured now."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return Machine(
            kind="gpu",
            name=str(details.get("device_name", "GPU")),
            n_lanes=_GPU_LANES,
            rate=matrix_rate("gpu") / _GPU_LANES,
            cache_bytes=0,
            memory_bytes=int(_gpu_bytes() * _MEMORY_SHARE),
            # About 60 kernel launches at 5 µs.
            step_s=3e-4,
            call_s=3e-3,
            compile_s=6.0,
            load_s=6.0,
        )
    n_lanes = cpu_cores()
    return Machine(
        kind="cpu",
        name=f"{n_lanes} CPU cores",
        n_lanes=n_lanes,
        rate=matrix_rate("cpu") / n_lanes,
        cache_bytes=8 * 2**20,
        memory_bytes=int(psutil.virtual_memory().available * _MEMORY_SHARE),
        step_s=4e-5,
        call_s=1.5e-3,
        compile_s=1.5,
        load_s=0.3,
    )


def matrix_rate(kind: Literal["cpu", "gpu"]) -> float:
    """Return the best of a few products of large float32 matrices, in operations per second over the whole device."""
    side = _SIDE[kind]
    left = tf.random.stateless_uniform((side, side), (1, 2))
    tf.linalg.matmul(left, left)[0, 0].numpy()
    best_s = float("inf")
    for _ in range(_N_PRODUCTS):
        started_s = time.perf_counter()
        tf.linalg.matmul(left, left)[0, 0].numpy()
        best_s = min(best_s, time.perf_counter() - started_s)
    return 2.0 * side**3 / best_s


def _gpu_bytes() -> int:
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).free)
    except Exception:  # noqa: BLE001 - whatever the driver says: assume a small card
        return 8 * 2**30
