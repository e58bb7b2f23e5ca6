from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from hpsearch.errors import InvalidStudyError
from hpsearch.studyfile.yaml_reader import parse_yaml, read_yaml


def read(tmp_path: Path, text: str):
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("2_000_000", 2_000_000),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ('"1e-4"', "1e-4"),
        ("'off'", "off"),
        ("1e", "1e"),
        ("e4", "e4"),
        ("1.2.3", "1.2.3"),
        ("+7", 7),
        ("[1, 2.0, a]", [1, 2.0, "a"]),
    ],
)
def test_scalars_mean_what_people_mean(tmp_path: Path, text: str, value: object):
    read_value = read(tmp_path, f"x: {text}\n").data["x"]
    assert read_value == value
    assert type(read_value) is type(value)


def test_infinity_and_nan_are_floats(tmp_path: Path):
    data = read(tmp_path, "a: .inf\nb: -.Inf\nc: .nan\n").data
    assert data["a"] == math.inf
    assert data["b"] == -math.inf
    assert math.isnan(data["c"])


def test_every_field_knows_its_line(tmp_path: Path):
    document = read(tmp_path, "name: a\nspace:\n  layers:\n    low: 1\n  list:\n    - 1\n    - 2\n")
    assert document.line_of(("space", "layers", "low")) == 4
    assert document.line_of(("space", "list", 1)) == 7
    assert document.line_of(("space", "layers", "missing")) == 3
    assert document.line_of(("nowhere",)) is None


def test_json_is_yaml(tmp_path: Path):
    assert read(tmp_path, '{"a": {"b": [1, 1e-3, true, null]}}').data == {"a": {"b": [1, 0.001, True, None]}}


def test_anchors_and_merges(tmp_path: Path):
    data = read(tmp_path, "base: &b {low: 1, high: 2}\nx: {<<: *b, high: 3}\ny: *b\n").data
    assert data["x"] == {"low": 1, "high": 3}
    assert data["y"] == {"low": 1, "high": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: 'a' is given twice in the same place (first in line 1)"),
        ("s:\n  x: 1\n  x: 1\n", "line 3: 'x' is given twice"),
        ("a: [1\n", "not valid YAML"),
        ("a:\n\t- 1\n", "indent with spaces"),
        ("", "received nothing"),
        ("- 1\n", "received a list"),
        ("hello\n", "received a single value"),
        ("a: &x [*x]\n", "expand without end"),
        ("a: !!python/object/apply:os.system [echo]\n", "line 1"),
        ("a: !!binary aGk=\n", "can not be read as 'binary'"),
        ("a: 1\n---\nb: 2\n", "another document"),
        ("1: a\n", "must be text, received '1'"),
        ("on: a\n", "must be text, received 'on'"),
        ("? [a, b]\n: 1\n", "a field name must be text"),
        ("[" * 3000, "nested too deeply"),
        ("x: {<<: 3}\n", "needs a mapping"),
    ],
)
def test_unusable_files_are_refused_in_one_sentence(tmp_path: Path, text: str, said: str):
    with pytest.raises(InvalidStudyError) as caught:
        read(tmp_path, text)
    assert said in caught.value.message
    assert "study.yaml" in caught.value.message


def test_alias_bomb_is_refused_quickly(tmp_path: Path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(InvalidStudyError, match="expand without end"):
        read(tmp_path, "\n".join(lines))


_MERGES = "\n".join(
    ["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 40))]
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_MERGES, "expand without end"),
        ("a: &a {<<: *a}", "expand without end"),
        (f"a: [{'1,' * 100_000}]", "holds more than a study definition can"),
        (f"a: &a 1\nb: [{'*a,' * 80_000}]", "holds more than a study definition can"),
        ("%A\n" * 80_000, "holds more than a study definition can"),
        ("".join(f"{' ' * depth}a:\n" for depth in range(90)), "nested too deeply"),
        ("[" * 200_000, "nested too deeply"),
        ("x" * 300_000, "holds more than a study definition can"),
    ],
    ids=["merges", "merged into itself", "values", "aliases", "directives", "depth", "brackets", "length"],
)
def test_no_text_takes_long(text: str, said: str):
    begun_s = time.process_time()
    with pytest.raises(InvalidStudyError, match=said):
        parse_yaml(text, Path("study.yaml"))
    assert time.process_time() - begun_s < 2


def test_of_what_is_merged_the_first_counts(tmp_path: Path):
    data = read(tmp_path, "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], z: 3}\n").data
    assert data["c"] == {"x": 1, "y": 1, "z": 3}


def test_unreadable_files(tmp_path: Path):
    with pytest.raises(InvalidStudyError, match="no such file"):
        read_yaml(tmp_path / "nix.yaml")
    with pytest.raises(InvalidStudyError, match="is a directory"):
        read_yaml(tmp_path)
    binary = tmp_path / "x.yaml"
    binary.write_bytes(b"name: \xff\xfe")
    with pytest.raises(InvalidStudyError, match=r"not a text file in UTF-8 \(byte 6 is 0xff\)"):
        read_yaml(binary)
    huge = tmp_path / "data.yaml"
    huge.write_bytes(b"x" * (4 * 2**20 + 1))
    with pytest.raises(InvalidStudyError, match="is it a data file"):
        read_yaml(huge)
