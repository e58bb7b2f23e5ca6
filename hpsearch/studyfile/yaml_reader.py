"""YAML parser for study files: numbers as in YAML 1.2, duplicate keys refused, and the line of every field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from hpsearch.errors import InvalidStudyError

# Fields, values, aliases and marks between them cost about 15 microseconds each: all that can be written is read
# within a second. A definition has some hundred of them, and at most 5,000 listed values.
MAX_BYTES: Final = 256 * 1024
_MAX_TOKENS: Final = 30_000
_MAX_NODES: Final = 15_000
_MAX_DEPTH: Final = 64
_MAX_DIGITS: Final = 1_000

Location = tuple[str | int, ...]

_TAG: Final = "tag:yaml.org,2002:"
_INT: Final = re.compile(r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+")
# YAML 1.1 reads 1e-4 as text, 010 as 8, 1:30 as 90 and 2026-01-01 as a date; people mean what YAML 1.2 says.
_FLOAT: Final = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_TRUE: Final = frozenset({"true", "yes", "on"})
_FALSE: Final = frozenset({"false", "no", "off"})
_BOOL: Final = re.compile(r"true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_NULL: Final = re.compile(r"~|null|Null|NULL|")


class _TooLongError(yaml.YAMLError):
    """More is written than a study definition can hold."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the number rules of YAML 1.2, for texts of bounded length."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    n_tokens = 0

    def get_token(self) -> Any:
        """Return the next piece of the text.

        Raises:
            _TooLongError: There were too many.
        """
        self.n_tokens += 1
        if self.n_tokens > _MAX_TOKENS:
            raise _TooLongError
        return super().get_token()  # type: ignore[no-untyped-call]

    def fetch_flow_collection_start(self, kind: type[yaml.Token]) -> None:
        """Open a bracket; it looks up to 1,024 characters ahead for each one that is open.

        Raises:
            RecursionError: Too many are open.
        """
        if self.flow_level > _MAX_DEPTH:
            raise RecursionError
        super().fetch_flow_collection_start(kind)


for _kind, _pattern, _first in (
    ("bool", _BOOL, "tTfFyYnNoO"),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+0123456789."),
    ("null", _NULL, ["~", "n", "N", ""]),
    ("merge", re.compile("<<"), "<"),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(rf"(?:{_pattern.pattern})\Z"), list(_first))


@dataclass
class Document:
    """What a file says and where it says it.

    Attributes:
        data: Plain dicts, lists and scalars.
        lines: Line, from 1, of every field by its location.
    """

    data: dict[str, Any]
    lines: dict[Location, int] = field(default_factory=dict)

    def line_of(self, location: Location) -> int | None:
        """Return the line of the field, or of the nearest thing around it; None for what the file does not name."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location)


def read_yaml(path: Path) -> Document:
    """Return the mapping in a YAML (or JSON) file.

    Raises:
        InvalidStudyError: The file can not be read, is not YAML, has a key twice or is not a mapping.
    """
    return parse_yaml(_text(path), path)


def parse_yaml(text: str, path: Path) -> Document:
    """Return the mapping in a text of YAML (or JSON).

    Args:
        text: What was written.
        path: What to call it in messages.

    Raises:
        InvalidStudyError: It is not YAML, has a key twice, is not a mapping, or is longer than a definition can be.
    """
    if len(text) > MAX_BYTES:
        raise InvalidStudyError(_too_long(path), code="study.unreadable")
    is_json = path.suffix.lower() == ".json"
    try:
        # Tabs may indent JSON; inside of its strings there are none.
        root = yaml.compose(text.replace("\t", " ") if is_json else text, Loader=_Loader)
        if isinstance(root, yaml.MappingNode):
            return _Builder(path).document(root)
    except (yaml.YAMLError, RecursionError) as error:
        sentence = (_json_sentence(path, text) if is_json else None) or _syntax_sentence(path, error)
        raise InvalidStudyError(sentence, code="study.unreadable") from None
    got = "nothing" if root is None else "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
    msg = f"{path}: expected a study definition (name:, dataset:, space:, …), received {got}"
    raise InvalidStudyError(msg, code="study.unreadable")


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            msg = f"{path} has {size:,} bytes, which is too much for a study definition; is it a data file?"
            raise InvalidStudyError(msg, code="study.unreadable")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        msg = f"Can not read {path}: {(error.strerror or str(error)).lower()}"
        raise InvalidStudyError(msg, code="study.unreadable") from None
    except UnicodeDecodeError as error:
        msg = f"{path} is not a text file in UTF-8 (byte {error.start} is 0x{error.object[error.start]:02x})"
        raise InvalidStudyError(msg, code="study.unreadable") from None


def _too_long(path: Path) -> str:
    return f"{path} holds more than a study definition can; shorten its lists, or give ranges instead of values"


def _json_sentence(path: Path, text: str) -> str | None:
    """Return what is wrong with a text as JSON, or None."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        problem = f"{error.msg[:1].lower()}{error.msg[1:]}"
        return f"{path}, line {error.lineno}, column {error.colno}: this is not valid JSON: {problem}"
    except RecursionError:
        pass
    return None


def _syntax_sentence(path: Path, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"{path} is nested too deeply for a study definition"
    if isinstance(error, _TooLongError):
        return _too_long(path)
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    where = f"{path}, line {mark.line + 1}" if mark is not None else str(path)
    hint = "; indent with spaces, not tabs" if "'\\t'" in problem else ""
    return f"{where}: this is not valid YAML: {problem}{hint}"


class _Builder:
    """Turns PyYAML's nodes into plain values, remembering lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Location, int] = {}
        self.n_nodes = 0
        self.open: set[int] = set()

    def document(self, root: yaml.MappingNode) -> Document:
        data = self.value(root, ())
        return Document(data, self.lines)

    def fail(self, node: yaml.Node, problem: str) -> InvalidStudyError:
        msg = f"{self.path}, line {node.start_mark.line + 1}: {problem}"
        return InvalidStudyError(msg, code="study.unreadable")

    def value(self, node: yaml.Node, at: Location) -> Any:
        self.n_nodes += 1
        if self.n_nodes > _MAX_NODES or id(node) in self.open:
            raise self.fail(node, "aliases (*name) expand without end")
        if len(at) > _MAX_DEPTH:
            raise self.fail(node, "this is nested too deeply for a study definition")
        self.open.add(id(node))
        try:
            if not isinstance(node, yaml.ScalarNode) and node.tag not in (_TAG + "map", _TAG + "seq"):
                raise self.fail(node, f"the tag {node.tag.removeprefix(_TAG)!r} is not known here; leave it out")
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, at)
            if isinstance(node, yaml.SequenceNode):
                items = []
                for index, child in enumerate(node.value):
                    self.lines[(*at, index)] = child.start_mark.line + 1
                    items.append(self.value(child, (*at, index)))
                return items
            return self.scalar(node)
        finally:
            self.open.discard(id(node))

    def mapping(self, node: yaml.MappingNode, at: Location) -> dict[str, Any]:
        built: dict[str, Any] = {}
        first_line: dict[str, int] = {}
        merged: dict[str, Any] = {}
        for key_node, child in node.value:
            if key_node.tag == _TAG + "merge":
                for source in self.merge_sources(child):
                    # As any other value: what is merged is counted each time, and never into itself.
                    for key, value in self.value(source, at).items():
                        merged.setdefault(key, value)
                continue
            key = self.key(key_node)
            line = key_node.start_mark.line + 1
            if key in first_line:
                problem = f"{key!r} is given twice in the same place (first in line {first_line[key]}); keep one"
                raise self.fail(key_node, problem)
            first_line[key] = self.lines[(*at, key)] = line
            built[key] = self.value(child, (*at, key))
        return merged | built

    def merge_sources(self, node: yaml.Node) -> Iterator[yaml.MappingNode]:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(source, yaml.MappingNode):
                raise self.fail(source, "<<: needs a mapping to take fields from")
            yield source

    def key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self.fail(node, "a field name must be text")
        if node.tag != _TAG + "str":
            raise self.fail(
                node, f"a field name must be text, received {node.value!r}; write it in quotes if it is meant"
            )
        return str(node.value)

    def scalar(self, node: yaml.Node) -> Any:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "null":
                return None
            case "bool" if text.lower() in _TRUE | _FALSE:
                return text.lower() in _TRUE
            case "int" if _INT.fullmatch(text):
                return _integer(text)
            case "float" if _FLOAT.fullmatch(text):
                return float(text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
        raise self.fail(node, f"{text!r} can not be read as {node.tag.removeprefix(_TAG)!r}; leave the tag out")


def _integer(text: str) -> int:
    digits = text.replace("_", "").lstrip("+")
    if len(digits) > _MAX_DIGITS:  # no field takes such a number, and Python would not write it down in decimals
        return 10**19
    return int(digits, 0 if digits.startswith(("0x", "0o")) else 10)
