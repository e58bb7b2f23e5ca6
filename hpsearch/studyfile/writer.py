"""Writes study files: a definition as short YAML in the layout of the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

from hpsearch.domain.study import StudyDefinition

_WIDTH: Final = 110


class _OnOneLine(dict[str, Any]):
    """A mapping to be written on one line."""


class _Writer(yaml.SafeDumper):
    """PyYAML's safe writer, with the layout of a study file."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - of PyYAML
        """Write everything out: people do not read anchors."""
        return True


def _line(writer: _Writer, data: _OnOneLine) -> yaml.MappingNode:
    return writer.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True)


def _list(writer: _Writer, data: list[Any]) -> yaml.SequenceNode:
    return writer.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


def _text(writer: _Writer, data: str) -> yaml.ScalarNode:
    # Our reader takes 1e-3 for a number, as people do; PyYAML's writer takes it for text.
    style = None if data[:1].isalpha() else '"'
    return writer.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Writer.add_representer(_OnOneLine, _line)
_Writer.add_representer(list, _list)
_Writer.add_representer(str, _text)


def _laid_out(value: Any) -> Any:
    """Return the value with every mapping that holds no other marked to stand on one line."""
    if not isinstance(value, Mapping):
        return value
    inner = {name: _laid_out(one) for name, one in value.items()}
    return inner if any(isinstance(one, Mapping) for one in inner.values()) else _OnOneLine(inner)


def as_yaml(definition: Mapping[str, Any]) -> str:
    """Return a definition as YAML, in its own order.

    Args:
        definition: Plain dicts, lists and scalars; what is left out keeps its default.
    """
    return "".join(
        yaml.dump({name: _laid_out(value)}, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=_WIDTH)
        for name, value in definition.items()
    )


def shortest(definition: StudyDefinition) -> dict[str, Any]:
    """Return a definition without what is its default anyway, as its author might have written it."""
    plain = definition.model_dump(mode="json", exclude_defaults=True)
    plain["space"] = {
        name: _short(parameter)
        for name, parameter in definition.space.model_dump(mode="json", exclude_defaults=True).items()
    }
    for name in StudyDefinition.model_fields:  # the order of the documentation
        if name in plain:
            plain[name] = plain.pop(name)
    return plain


def _short(parameter: dict[str, Any]) -> Any:
    return parameter["value"] if parameter["type"] == "fixed" and "when" not in parameter else parameter
