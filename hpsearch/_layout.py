"""Where the server, the workers and the migrations lie, and the one way to reach them from the core.

The core imports neither `api` nor `workers`. In a checkout they are folders beside `hpsearch`; in an installed wheel
they ride inside `hpsearch/_apps`, because two top-level packages with such plain names would collide with other
people's.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hpsearch.errors import HpsearchError

_HERE: Final = Path(__file__).resolve().parent

# What each part needs beyond the core: the name of the extra, and what to call the part in a sentence.
_EXTRAS: Final = {
    "api": ("server", "the server"),
    "hpsearch": ("server", "the server"),
    "workers": ("worker", "the worker"),
}
_OURS: Final = frozenset({*_EXTRAS, "migrations"})


class MissingPartError(HpsearchError):
    """A part of hpsearch, or a package it needs, is not installed here."""

    code = "install.missing_part"


def apps_dir() -> Path:
    """Return the folder that holds the packages `api` and `workers`: bundled in the wheel, or the checkout."""
    bundled = _HERE / "_apps"
    return bundled if bundled.is_dir() else _HERE.parent


def migrations_dir() -> Path:
    """Return the folder of the Alembic environment: bundled in the wheel, or in the checkout."""
    bundled = _HERE / "migrations"
    return bundled if bundled.is_dir() else _HERE.parent / "migrations"


def put_on_path() -> None:
    """Make `import api` and `import workers` mean ours in this process, whatever else is installed.

    The folder goes to the front of `sys.path`: behind it, somebody else's package of the same name would win.
    """
    folder = str(apps_dir())
    if sys.path[:1] != [folder]:
        sys.path[:] = [folder, *(entry for entry in sys.path if entry != folder)]


def load(module: str) -> Any:
    """Return a module of the server or of the worker, imported now.

    Args:
        module: Dotted name such as `api.serve`.

    Raises:
        MissingPartError: The module, or a package it needs, is not installed; the message says what to install.
    """
    put_on_path()
    with needing(module.partition(".")[0]):
        return importlib.import_module(module)


@contextmanager
def needing(package: str, part: str | None = None) -> Iterator[None]:
    """Turn a missing module inside the block into the sentence that says what to install.

    Args:
        package: `api` or `workers`: whose code runs in the block and may import what it needs there.
        part: What to call it in the sentence; None for the server or the worker.

    Raises:
        MissingPartError: A module is not installed.
    """
    extra, usual = _EXTRAS[package]
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or package
        if missing.partition(".")[0] in _OURS:
            msg = f"This installation of hpsearch is incomplete (no module {missing}): install it again"
        else:
            what = part or usual
            said = f"{what[:1].upper()}{what[1:]} is not installed here"
            msg = f"{said} (no module {missing}): run  pip install 'hpsearch[{extra}]'"
        raise MissingPartError(msg, details={"module": missing, "extra": extra}) from error
