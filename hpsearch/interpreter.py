"""Command lines of the Python processes that hpsearch starts."""

from __future__ import annotations

import sys


def python_command(*arguments: str) -> list[str]:
    """Return the command line of this very interpreter, kept from importing what lies in the working directory.

    Without `-P`, `-m` and `-c` look for modules there first: a `polars.py` in the folder where somebody starts a server
    would be run by it.

    Args:
        arguments: Of the interpreter, such as `-m` and a module, and of the program.
    """
    return [sys.executable, "-P", *arguments]
