"""Programs that check what lies in deploy/: used where they are installed, required in CI."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

# Set where a missing program must fail, as it must in CI.
_REQUIRE_VARIABLE: Final = "HPSEARCH_TEST_REQUIRE_DEPLOY"


def program(name: str, package: str) -> str:
    """Return where a program lies; without it the test is skipped, or fails where it is required.

    Args:
        name: Of the program; the folders of administrators count too.
        package: Of Debian, which holds it.
    """
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]))
    if found is None:
        (pytest.fail if os.environ.get(_REQUIRE_VARIABLE) else pytest.skip)(f"no {name}: apt-get install {package}")
    return str(Path(found))
