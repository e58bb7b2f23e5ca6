"""Columns are storage's own: services name what happens, never the columns that it sets."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.storage.tables import metadata
from tests.architecture.checkout import ROOT

_STORAGE = ROOT / "hpsearch" / "storage"
_SERVICE = ROOT / "hpsearch" / "service"
# What storage's modules share among themselves. Nobody else may import it.
_INTERNAL = frozenset({"study_row", "guarded_moves", "executemany", "pg_pipeline", "tables", "engine"})
_COLUMNS = frozenset(column.name for table in metadata.tables.values() for column in table.columns)
# Annotations of what could be columns by name. A JSON document is annotated as `JsonObject`.
_LOOSE = ("dict[str, Any]", "Mapping[str, Any]", "dict[str, object]", "Mapping[str, object]", "Mapping[str, float]")
# Methods that take a document of the event log, which has keys of its own.
_EVENTS = frozenset({"add", "add_all"})


def _loose_parameters(source: str) -> Iterator[str]:
    """Yield the public functions and methods of a module that take columns by name."""
    for holder in ast.walk(ast.parse(source)):
        if not isinstance(holder, ast.Module | ast.ClassDef) or getattr(holder, "name", "").startswith("_"):
            continue
        for function in holder.body:
            if not isinstance(function, ast.FunctionDef) or function.name.startswith("_"):
                continue
            given = function.args
            if given.kwarg is not None:
                yield f"{function.name}(**{given.kwarg.arg})"
            for parameter in (*given.posonlyargs, *given.args, *given.kwonlyargs):
                annotation = "" if parameter.annotation is None else ast.unparse(parameter.annotation)
                if any(loose in annotation for loose in _LOOSE):
                    yield f"{function.name}({parameter.arg}: {annotation})"


def _passed_columns(source: str) -> Iterator[str]:
    """Yield the calls of storage in a module of services that pass columns by name."""
    tree = ast.parse(source)
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        called = ast.unparse(call.func)
        if not called.startswith(("tx.", "study.", "locked.")) or (".events." in called and call.func.attr in _EVENTS):
            continue
        if any(keyword.arg is None for keyword in call.keywords):
            yield f"{called}(**…)"
        for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
            for part in ast.walk(argument):
                keys = part.keys if isinstance(part, ast.Dict) else ()
                names = {key.value for key in keys if isinstance(key, ast.Constant)}
                if names & _COLUMNS:
                    yield f"{called}({ast.unparse(part)})"


def _internal_imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            *package, module = node.module.split(".")
            names = {alias.name for alias in node.names} if node.module == "hpsearch.storage" else {module}
            if "hpsearch.storage" in (node.module, ".".join(package)) and names & _INTERNAL - {"engine"}:
                yield ast.unparse(node)


def _modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def test_no_public_method_of_storage_takes_columns_by_name() -> None:
    found = {
        path.name: loose
        for path in _modules(_STORAGE)
        if path.stem not in _INTERNAL and (loose := list(_loose_parameters(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


def test_no_service_passes_columns_by_name() -> None:
    found = {
        str(path.relative_to(_SERVICE)): passed
        for path in _modules(_SERVICE)
        if (passed := list(_passed_columns(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


def test_no_service_imports_what_storage_keeps_to_itself() -> None:
    found = {path.name: list(_internal_imports(path.read_text(encoding="utf-8"))) for path in _modules(_SERVICE)}
    assert {name: imports for name, imports in found.items() if imports} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "class Studies:\n    def change(self, study_id: int, values: Mapping[str, Any]) -> None: ...\n",
        "class Studies:\n    def count(self, *, deltas: dict[str, Any] | None = None) -> None: ...\n",
        "def change(study_id: int, **columns: Any) -> None: ...\n",
    ],
)
def test_columns_in_a_signature_are_seen(planted: str) -> None:
    assert len(list(_loose_parameters(planted))) == 1


@pytest.mark.parametrize(
    "planted",
    [
        'tx.studies.change(study.id, {"trouble": None})\n',
        'tx.attempts.end(trial.id, values={"cause": why, **more})\n',
        "study.edit(**values)\n",
    ],
)
def test_columns_in_a_call_are_seen(planted: str) -> None:
    assert len(list(_passed_columns(planted))) == 1


@pytest.mark.parametrize(
    "planted", ["from hpsearch.storage.study_row import StudyRow\n", "from hpsearch.storage import tables\n"]
)
def test_an_import_of_what_storage_keeps_to_itself_is_seen(planted: str) -> None:
    assert len(list(_internal_imports(planted))) == 1
