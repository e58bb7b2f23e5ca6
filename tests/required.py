"""What a machine may lack for some tests: they are skipped there, and fail where it is required, as all is in CI."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def lacking(what: str, why: str) -> NoReturn:
    """End a test for want of something: skipped, or failed where `HPSEARCH_TEST_REQUIRE_<what>` is set.

    Args:
        what: `PG`, `BROWSER`, `NPM`, `CURL`, `DEPLOY` or `MOUNT`.
        why: What is lacking, and how to get it.
    """
    if os.environ.get(f"HPSEARCH_TEST_REQUIRE_{what}"):
        pytest.fail(why)
    pytest.skip(why)


def program(name: str, package: str, what: str) -> str:
    """Return where a program lies; without it the test ends as `lacking` says.

    Args:
        name: Of the program; the folders of administrators count too.
        package: Of Debian, which holds it.
        what: As of `lacking`.
    """
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]))
    if found is None:
        lacking(what, f"no {name}: apt-get install {package}")
    return found
