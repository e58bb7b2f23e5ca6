"""DeviceProfile: constants of a kind of device for the cost model, the same at every moment."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Literal

import psutil
import tensorflow as tf

from workers.devices import cpu_cores

Kind = Literal["cpu", "gpu"]

# Side of the measured product: big enough to show the full rate, small enough to take milliseconds on a CPU.
_SIDE: Final = {"cpu": 768, "gpu": 4096}
_N_PRODUCTS: Final = 3
# Of the memory that is free when the engine starts.
_MEMORY_SHARE: Final = 0.5


@dataclass(frozen=True)
class DeviceProfile:
    """The device that trains, in the terms of the cost model.

    Everything but `name`, `n_parallel_packs` and `memory_bytes` is a constant of the kind: programs are chosen by it,
    a trial's last bits depend on its program, and nothing that is measured would be the same tomorrow.

    Attributes:
        kind: `cpu` or `gpu`.
        name: For the log.
        n_parallel_packs: Packs worth running at the same time: on a GPU one computes while others are made ready and
            scored by the host.
        memory_bytes: What all packs together may take.
        rate: Operations per second of stacked float32 products, multiply-adds counted as 2.
        weight_s: Seconds to read, update and write one weight and its moments.
        step_s: Overhead of a gradient step, whatever its size.
        layer_s: The same for each layer of weights.
        call_s: Overhead of an epoch: Python, transfers, scoring.
        compile_s: To trace and compile a program without hidden layers.
        compile_layer_s: More for each hidden layer.
        keras_s: Until plain Keras begins to train a trial.
        keras_step_s: Of plain Keras's overhead in a gradient step.
    """

    kind: Kind
    name: str
    n_parallel_packs: int
    memory_bytes: int
    rate: float
    weight_s: float
    step_s: float
    layer_s: float
    call_s: float
    compile_s: float
    compile_layer_s: float
    keras_s: float
    keras_step_s: float


KINDS: Final[dict[Kind, DeviceProfile]] = {
    # An H200 took 1.2 ms for a step of 64 members, four layers of 384 and 256 rows, and 3 to 10 s to compile a program.
    "gpu": DeviceProfile(
        kind="gpu",
        name="GPU",
        n_parallel_packs=4,
        memory_bytes=4 * 2**30,
        rate=3e13,
        weight_s=1.3e-11,
        step_s=1e-4,
        layer_s=5e-5,
        call_s=3e-3,
        compile_s=4.0,
        compile_layer_s=1.5,
        keras_s=2.0,
        keras_step_s=1.5e-3,
    ),
    # For tests: on CPUs the native engine trains.
    "cpu": DeviceProfile(
        kind="cpu",
        name="CPU",
        n_parallel_packs=2,
        memory_bytes=2 * 2**30,
        rate=5e10,
        weight_s=1e-9,
        step_s=4e-5,
        layer_s=2e-5,
        call_s=1.5e-3,
        compile_s=1.5,
        compile_layer_s=1.0,
        keras_s=1.5,
        keras_step_s=1e-3,
    ),
}


@cache
def this_device() -> DeviceProfile:
    """Return the device TensorFlow computes on by default."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        name = str(details.get("device_name", "GPU"))
        return replace(KINDS["gpu"], name=name, memory_bytes=int(_gpu_bytes() * _MEMORY_SHARE))
    n_parallel_packs = cpu_cores()
    free_bytes = int(psutil.virtual_memory().available * _MEMORY_SHARE)
    return replace(
        KINDS["cpu"], name=f"{n_parallel_packs} CPU cores", n_parallel_packs=n_parallel_packs, memory_bytes=free_bytes
    )


def matrix_rate(kind: Kind) -> float:
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
