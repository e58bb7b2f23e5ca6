"""Compiled kernels on disk: found again by every later start, made anew when anything about them is in doubt.

A folder holds the kernels of one version of their sources, of numba and of Python, for one kind of processor. A
manifest with digests is written last, so that a folder that was being written when its process was killed, or whose
files were damaged, is known by it and made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from workers.training.engine.numerics import DType

# Where kernels lie if this is set, and nowhere else; for images and tests.
FOLDER_VARIABLE: Final = "HPSEARCH_KERNELS"
_SOURCES: Final = Path(__file__).parent
_SHARED: Final = ("engine/numerics.py", "engine/optimizer_coefficients.py")
_MANIFEST: Final = "manifest.json"
_LOCK: Final = "lock"
# Folders of other versions that are left alone, newest first.
_N_KEPT: Final = 4
# Number types whose kernels this process has.
_LOADED: Final[set[DType]] = set()


def prepare_kernels(dtype: DType, fallback: Path | None, explain: Callable[[str], None]) -> None:
    """Load the kernels of a number type into this process, compiled now if no earlier process has left them.

    Two processes that compile into one folder do so one after the other. Where nothing can be written, the kernels are
    compiled for this process alone, with a sentence.

    Args:
        dtype: Of weights and computation.
        fallback: Folder to keep them in where the package's own can not be written; None for none.
        explain: Takes sentences for the log.

    Raises:
        ModuleNotFoundError: numba is not installed.
    """
    if dtype not in _LOADED:
        _prepare(dtype, fallback, explain)
        _LOADED.add(dtype)


def _prepare(dtype: DType, fallback: Path | None, explain: Callable[[str], None]) -> None:
    roots = _roots(fallback)
    name = f"kernels-{_digest()}"
    if any(_is_loaded(dtype, root / name, explain) for root in roots):
        return
    explain(
        f"compiled kernels can not be kept, {' and '.join(map(str, roots))} can not be written: compiling them for "
        "this process alone, about 20 s"
    )
    with tempfile.TemporaryDirectory(prefix="hpsearch-kernels-") as scratch:
        _load(dtype, Path(scratch))


def _roots(fallback: Path | None) -> Sequence[Path]:
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return (Path(chosen),)
    beside = _SOURCES / "__pycache__"
    return (beside,) if fallback is None else (beside, fallback)


def _is_loaded(dtype: DType, folder: Path, explain: Callable[[str], None]) -> bool:
    """Load the kernels from a folder, compiled into it if need be; return False if they can not be kept there."""
    if _is_whole(folder, dtype):
        if _load_kept(dtype, folder):
            return True
        explain(f"the compiled kernels in {folder} can not be loaded: they are compiled again")
        with suppress(OSError):
            (folder / _MANIFEST).unlink()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        # What lies there is run: not from a folder that somebody else can write to.
        if folder.stat().st_uid != os.getuid():
            return False
        with _locked(folder):
            if _is_whole(folder, dtype):
                # Another process has compiled them while this one waited.
                return _load_kept(dtype, folder)
            explain(f"compiling the training kernels, once, into {folder}: about 20 s")
            if not _is_whole(folder):
                for path in folder.iterdir():
                    if path.name != _LOCK:
                        _remove(path)
            _load(dtype, folder)
            _write_manifest(folder, dtype)
            _make_room(folder)
    except OSError:
        return False
    return True


def _load(dtype: DType, folder: Path) -> None:
    from numba import config

    config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]  # set by numba when it is imported
    from workers.training.native.kernels.entry import load

    load(dtype)


def _load_kept(dtype: DType, folder: Path) -> bool:
    """Return whether the kernels of a whole folder could be loaded."""
    try:
        # numba insists on a folder it can write; that of an image may not be.
        if os.access(folder, os.W_OK):
            _load(dtype, folder)
        else:
            with tempfile.TemporaryDirectory(prefix="hpsearch-kernels-") as copy:
                shutil.copytree(folder, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns(_LOCK))
                _load(dtype, Path(copy))
    except ModuleNotFoundError:
        raise
    except Exception:  # noqa: BLE001 - whatever a damaged file makes numba raise: it is compiled anew
        return False
    return True


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _is_whole(folder: Path, dtype: DType | None = None) -> bool:
    """Return whether a folder holds what its manifest says, and kernels of the number type, if one is asked for."""
    manifest = _manifest(folder)
    files, types = manifest.get("files"), manifest.get("types")
    if not isinstance(files, dict) or not isinstance(types, list) or (dtype is not None and dtype not in types):
        return False
    try:
        return all(_file_digest(folder / name) == digest for name, digest in files.items())
    except OSError:
        return False


def _write_manifest(folder: Path, dtype: DType) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in (_LOCK, _MANIFEST)]
    if not files:
        msg = f"numba has kept nothing in {folder}"
        raise OSError(msg)
    digests = {str(path.relative_to(folder)): _file_digest(path) for path in files}
    types = sorted({dtype, *_manifest(folder).get("types", [])})
    draft = folder / f"{_MANIFEST}.{os.getpid()}"
    draft.write_text(json.dumps({"types": types, "files": digests}), encoding="ascii")
    draft.replace(folder / _MANIFEST)


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest() -> str:
    """Return what tells versions of the kernels apart, and kinds of processors, 16 characters."""
    from llvmlite import binding
    from numba import config

    found = hashlib.sha256()
    shared = [_SOURCES.parent / name for name in _SHARED]
    for path in (*sorted((_SOURCES / "kernels").glob("*.py")), _SOURCES / "layout.py", *shared):
        found.update(path.read_bytes())
    chosen = getattr(config, "CPU_NAME", None), getattr(config, "CPU_FEATURES", None)
    processor = f"{binding.get_host_cpu_name()} {chosen}"
    features = binding.get_host_cpu_features().flatten()
    versions = f"{version('numba')} {version('numpy')} {version('scipy')} {sys.implementation.cache_tag}"
    found.update(f"{versions} {sys.platform} {processor} {features}".encode())
    return found.hexdigest()[:16]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes out; the system lets go of the lock when this process dies."""
    with (folder / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_room(folder: Path) -> None:
    """Delete the folders of versions that nobody has made for long."""
    others = [path for path in folder.parent.glob("kernels-*") if path != folder]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[_N_KEPT:]:
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
