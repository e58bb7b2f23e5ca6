"""Device discovery: GPUs, CPU cores and memory, and which trainer process gets what; never imports TensorFlow."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hpsearch.wire.workers import Device

_CGROUP: Final = Path("/sys/fs/cgroup")
_MEMINFO: Final = Path("/proc/meminfo")
# There when a driver for NVIDIA GPUs is loaded, and the GPUs this container or machine has.
_DRIVER: Final = Path("/proc/driver/nvidia")
_DEVICES: Final = Path("/dev")
# Cores one trainer process of the native engine serves: beyond, its threads would wait for Python's lock (GIL).
_CORES_A_PROCESS: Final = 8
# Tells a trainer process how many cores are its own.
CORES_VARIABLE: Final = "HPSEARCH_TRAINER_CORES"
# A trainer takes about this much with TensorFlow loaded and a small data set (measured: 0.6 to 0.7 GB).
TRAINER_BYTES: Final = 750_000_000
# What the server, the terminal and the rest of the machine keep.
_RESERVED_BYTES: Final = 500_000_000
# Beyond this more processes mostly cost memory.
MAX_DEFAULT_TRAINERS: Final = 64


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        visible: What selects it in CUDA_VISIBLE_DEVICES: a UUID, or the number its user gave.
        name: As the driver calls it.
        memory_bytes: None when unknown.
    """

    visible: str
    name: str
    memory_bytes: int | None


@dataclass(frozen=True)
class DeviceSlot:
    """The place of one trainer process.

    Attributes:
        device: What it trains on.
        environment: Variables the process must start with: they decide device, memory growth and threads.
    """

    device: Device
    environment: Mapping[str, str]


def cpu_cores() -> int:
    """Return the CPU cores this process may use: affinity and the container's quota considered, at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()[:2]
        limit = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return cores
    return max(1, min(cores, round(limit)))


def find_gpus(environment: Mapping[str, str] | None = None) -> tuple[Gpu, ...]:
    """Return the NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves visible; none without a driver."""
    environment = os.environ if environment is None else environment
    found = _installed_gpus()
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is None or not found:
        return found
    gpus = []
    for entry in (part.strip() for part in chosen.split(",")):
        gpu = _named(entry, found)
        if gpu is None:
            break  # as CUDA does: nothing after the first invalid entry is visible
        gpus.append(gpu)
    return tuple(gpus)


def why_no_gpu(environment: Mapping[str, str] | None = None) -> str | None:
    """Return why no GPU can be used on a machine that seems to have one; None when there is none, or one is visible."""
    environment = os.environ if environment is None else environment
    if find_gpus(environment):
        return None
    installed = _installed_gpus()
    if installed:
        return (
            f"CUDA_VISIBLE_DEVICES={environment.get('CUDA_VISIBLE_DEVICES')!r} hides {_counted(len(installed), 'GPU')}"
        )
    if not _DRIVER.exists() and not list(_DEVICES.glob("nvidia[0-9]*")):
        return None
    try:
        import pynvml  # noqa: PLC0415 - only workers with the extra have it

        pynvml.nvmlInit()
        pynvml.nvmlShutdown()
    except ModuleNotFoundError:
        return "the package nvidia-ml-py is missing"
    except pynvml.NVMLError as error:
        return f"the NVIDIA driver does not answer ({error})"
    return "the NVIDIA driver shows no GPU to this process"


def _named(entry: str, found: tuple[Gpu, ...]) -> Gpu | None:
    if entry.isdigit() and int(entry) < len(found):
        return Gpu(entry, found[int(entry)].name, found[int(entry)].memory_bytes)
    if entry.startswith("MIG-"):
        return Gpu(entry, "MIG device", None)
    if entry.startswith("GPU-"):
        return next((gpu for gpu in found if gpu.visible.startswith(entry)), None)
    return None


def _installed_gpus() -> tuple[Gpu, ...]:
    try:
        import pynvml  # noqa: PLC0415 - only workers with the extra have it
    except ModuleNotFoundError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return tuple(
            Gpu(
                visible=_text(pynvml.nvmlDeviceGetUUID(handle)),
                name=_text(pynvml.nvmlDeviceGetName(handle)),
                memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
            )
            for handle in handles
        )
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _text(raw: str | bytes) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw


def available_bytes() -> int | None:
    """Return the memory new processes may take, of the machine or the container, whichever is less; None if unknown."""
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no container, or "max"
        return free
    return min(free, max(0, limit - used))


def engine_for(engine: str, gpus: tuple[Gpu, ...]) -> str:
    """Return the engine that trains: `auto` is `fused` on a GPU and `native` without one.

    Args:
        engine: `auto`, `native`, `fused`, `reference` or `stub`.
        gpus: Visible ones.
    """
    if engine != "auto":
        return engine
    return "fused" if gpus else "native"


def default_trainers(engine: str, gpus: tuple[Gpu, ...], cores: int) -> int:
    """Return how many trainer processes this machine is best used with, at least 1.

    One per GPU. Without a GPU: for the native engine, which trains one trial a core, one for every eight cores; for
    plain Keras, which trains one small network at a time and is hardly sped up by a second thread, one per core as far
    as memory goes; else one.

    Args:
        engine: As for `engine_for`.
        gpus: Visible ones.
        cores: Usable CPU cores.
    """
    engine = engine_for(engine, gpus)
    if engine == "native":
        return min(MAX_DEFAULT_TRAINERS, -(-cores // _CORES_A_PROCESS))
    if gpus:
        return len(gpus)
    if engine != "reference":
        return 1
    free = available_bytes()
    n = cores if free is None else min(cores, (free - _RESERVED_BYTES) // TRAINER_BYTES)
    return max(1, min(n, MAX_DEFAULT_TRAINERS))


def arrange(
    n_trainers: int | None, gpus: tuple[Gpu, ...], cores: int, engine: str = "auto"
) -> tuple[tuple[DeviceSlot, ...], str]:
    """Return the device slots of the trainers and one sentence that says what they train on.

    Args:
        n_trainers: None for the `default_trainers`; more than there are GPUs share them in turn.
        gpus: Visible GPUs.
        cores: Usable CPU cores, shared evenly.
        engine: As for `engine_for`.
    """
    engine = engine_for(engine, gpus)
    n = n_trainers or default_trainers(engine, gpus, cores)
    shares = [max(1, cores // n + (number < cores % n)) for number in range(n)]
    if engine == "native" or not gpus:
        cpu_slots = [_cpu_slot(engine, share) for share in shares]
        where = "no GPU found" if not gpus else "the native engine uses no GPU"
        return tuple(cpu_slots), f"{where}: training on {_counted(cores, 'CPU core')} with {_counted(n, 'trainer')}"
    device_slots = []
    for i in range(n):
        gpu = gpus[i % len(gpus)]
        device = Device(kind="gpu", name=gpu.name[:200], memory_bytes=gpu.memory_bytes)
        # Without growth TensorFlow takes the whole memory at its first step.
        cuda = {"CUDA_VISIBLE_DEVICES": gpu.visible, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        device_slots.append(DeviceSlot(device, {**cuda, **_threads(shares[i])}))
    names = ", ".join(dict.fromkeys(gpu.name for gpu in gpus))
    return tuple(device_slots), f"training on {_counted(len(gpus), 'GPU')} ({names}) with {_counted(n, 'trainer')}"


def _cpu_slot(engine: str, cores: int) -> DeviceSlot:
    device = Device(kind="cpu", name=_cpu_name(), cores=cores)
    environment = {"CUDA_VISIBLE_DEVICES": "-1", **_threads(cores)}
    if engine == "native":
        # Each trial has a core of its own, so a product must not ask for more.
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return DeviceSlot(device, environment)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "")[:200] or platform.processor() or platform.machine() or "CPU"


def _threads(threads: int) -> dict[str, str]:
    per_pool = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
    own = {"TF_NUM_INTEROP_THREADS": str(min(2, threads)), CORES_VARIABLE: str(threads)}
    return {name: str(threads) for name in per_pool} | own


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
