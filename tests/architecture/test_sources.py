"""Habits a linter does not hold: how long files are, how modules are named, what is never written anywhere."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path
from typing import Final

from tests.architecture.checkout import ROOT, python_sources, relative, tracked_files

_MAX_LINES: Final = 400
_USUAL_LINES: Final = 350
_MEDIAN_LINES: Final = 120
_BUCKETS: Final = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc", "models"}

# Spelt in two halves, so that this file does not hold them.
_FORBIDDEN: Final = tuple(
    first + second
    for first, second in (
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("registry.", "npmjs.org"),
        ("deb.", "debian.org"),
        ("/root", "/"),
        ("/work", "/main"),
        ("/work", "/shared"),
        ("bash", "_jobs"),
    )
)
# A folder of models is a resource of the service, not a bucket.
_NOT_BUCKETS: Final = {"hpsearch/service/results/models.py", "hpsearch/storage/models.py"}


def _length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_long_and_most_are_short():
    lengths = {relative(path): _length(path) for path in python_sources()}
    too_long = {name: length for name, length in lengths.items() if length > _MAX_LINES}
    assert not too_long, f"cut these by use case: {too_long}"
    usual = sorted(lengths.values())[int(len(lengths) * 0.95)]
    assert usual <= _USUAL_LINES, f"95 of 100 files should have at most {_USUAL_LINES} lines, {usual} found"
    assert statistics.median(lengths.values()) <= _MEDIAN_LINES


def test_no_module_is_a_bucket():
    found = {relative(p) for p in python_sources() if {p.stem, p.parent.name} & _BUCKETS} - _NOT_BUCKETS
    assert not found, f"name these by what they answer for: {sorted(found)}"


def test_nothing_names_a_registry_or_a_developers_machine():
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8").lower()
        except UnicodeDecodeError:
            continue
        found += [f"{relative(path)}: {word}" for word in _FORBIDDEN if word in text]
    assert not found, "\n".join(found)


def test_locks_pin_every_package_with_hashes_and_no_address():
    for name in ("requirements.lock", "requirements-gpu.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text, name
        assert "--index-url" not in text, name
        assert "--find-links" not in text, name
        blocks = [
            block for block in text.replace("\\\n", " ").splitlines() if block and not block.startswith((" ", "#"))
        ]
        assert len(blocks) > 50, name
        for block in blocks:
            assert "==" in block, block
            assert "--hash=sha256:" in block, block


def test_one_function_makes_the_command_lines_of_python_processes():
    found = [
        f"{relative(path)}:{node.lineno}"
        for path in python_sources()
        if relative(path).startswith(("api/", "hpsearch/", "workers/"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "executable"
    ]
    assert [place.partition(":")[0] for place in found] == ["hpsearch/interpreter.py"], found


def test_no_argument_is_named_lr():
    for path in python_sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.arg):
                assert node.arg != "lr", f"{relative(path)}:{node.lineno}: learning_rate, never lr"
