"""Nobody but the domain's `task` compares the name of a task: what depends on it is asked of the task."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

from hpsearch.domain.task import TaskName
from tests.architecture.checkout import ROOT

HOME = Path("hpsearch/domain/task.py")
# Not tasks, though one is spelt like one: kinds of columns.
NAMES = frozenset(get_args(TaskName))


def comparisons(source: str) -> list[int]:
    """Return the lines on which the name of a task is compared, matched, or looked up in a table of them."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key is not None]
        else:
            continue
        constants = {part.value for whole in parts for part in ast.walk(whole) if isinstance(part, ast.Constant)}
        if constants & NAMES:
            found.append(node.lineno)
    return found


def test_only_the_domain_tells_tasks_apart():
    files = [path for room in ("hpsearch", "api", "workers") for path in (ROOT / room).rglob("*.py")]
    assert len(files) > 300
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in files
        if path.relative_to(ROOT) != HOME
        for line in comparisons(path.read_text(encoding="utf-8"))
    }
    assert found == set()


@pytest.mark.parametrize(
    "source",
    [
        "if task == 'regression': pass",
        "x = 1 if 'binary' != study.task else 2",
        "y = task in ('binary', 'multiclass')",
        "match task:\n    case 'regression': pass",
        "LOSSES = {'multiclass': 1, 'binary': 2}",
    ],
)
def test_a_comparison_is_noticed(source: str):
    assert comparisons(source)


def test_a_task_that_is_only_named_is_no_comparison():
    assert not comparisons("search(table, task='regression', kind={'task': 'binary'})\nkind == ColumnKind.BINARY")
