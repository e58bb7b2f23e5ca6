"""What differs between databases is asked of `hpsearch.storage.dialects`: no other module looks which one there is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from hpsearch.storage.dialects import DIALECTS
from tests.architecture.checkout import python_sources, relative

_HOME: Final = "hpsearch/storage/dialects/"
# What one database alone has, in modules that its dialect imports; migrations are history.
_ELSEWHERE: Final = ("hpsearch/storage/pg_", "migrations/", "benchmarks/")
_DRIVERS: Final = ("sqlite3", "psycopg", "sqlalchemy.dialects")


def _branches(source: str) -> Iterator[str]:
    """Yield what a module does that only a dialect may: name a database, or import what belongs to one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in DIALECTS:
            yield f"line {node.lineno}: {node.value!r}"
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        if any(name == driver or name.startswith(f"{driver}.") for name in names for driver in _DRIVERS):
            yield f"import of {names[0]}"


def test_no_other_module_names_a_database() -> None:
    found = [
        f"{relative(path)}: {branch}"
        for path in python_sources()
        if not relative(path).startswith((_HOME, *_ELSEWHERE))
        for branch in _branches(path.read_text(encoding="utf-8"))
    ]
    assert not found, "ask the dialect instead: " + "; ".join(found)


@pytest.mark.parametrize(
    "planted",
    [
        'if connection.dialect.name == "sqlite": pass',
        'insert = {"sqlite": 1}[name]',
        'match url.get_backend_name():\n    case "postgresql": pass',
        "from sqlalchemy.dialects import postgresql",
        "from sqlalchemy.dialects.postgresql import JSONB",
        "import sqlite3",
        "import psycopg.errors",
    ],
)
def test_a_branch_is_noticed(planted: str) -> None:
    assert list(_branches(planted))
