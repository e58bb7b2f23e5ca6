"""The reference of a study definition: every object and field of its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from docs.generator.tables import code, fields_of, table
from hpsearch.domain.study import StudyDefinition

_RANGES = (("minimum", "maximum", ""), ("minLength", "maxLength", " characters"), ("minItems", "maxItems", " items"))
_HEAD = """\
# Definition: objects and fields

Made from the code. What the fields mean, with examples: [Study definition](../study-definition.md). The same as a file
for editors and programs: {download}`study.schema.json`.
"""


def schema() -> dict[str, Any]:
    """Return the JSON schema of a definition as REST takes it."""
    return StudyDefinition.model_json_schema(mode="validation")


def schema_page() -> str:
    """Return the page."""
    whole = schema()
    definitions = whole.get("$defs", {})
    parts = [_HEAD, _section("StudyDefinition", whole)]
    parts += [_section(name, definitions[name]) for name in sorted(definitions)]
    return "\n".join(parts)


def _section(name: str, described: dict[str, Any]) -> str:
    if "properties" not in described:
        text = described.get("description", "").split("\n\n")[0].replace("\n", " ")
        return f"## {name}\n\n{text}\n\n{type_of(described)}\n"
    required = set(described.get("required", []))
    text = described.get("description", "").split("\n\n")[0].replace("\n", " ")
    told = fields_of(name)
    rows = [
        [code(field), type_of(facts), _default(field, facts, required), facts.get("description") or told.get(field, "")]
        for field, facts in described.get("properties", {}).items()
    ]
    return f"## {name}\n\n{text}\n\n{table(['field', 'type', 'default', 'means'], rows)}"


def _default(field: str, facts: dict[str, Any], required: set[str]) -> str:
    if field in required:
        return "required"
    return code(json.dumps(facts["default"])) if "default" in facts else ""


def type_of(facts: dict[str, Any]) -> str:
    """Return the type of a field in Markdown, with a link to the object it names and with bounds."""
    return " ".join([" or ".join(_types(facts)), *_bounds(facts)]).strip()


def _types(facts: dict[str, Any]) -> Iterator[str]:
    if "$ref" in facts:
        name = facts["$ref"].rpartition("/")[2]
        yield f"[{name}](#{name.lower()})"
    elif "const" in facts:
        yield code(json.dumps(facts["const"]))
    elif "enum" in facts:
        yield ", ".join(code(value) for value in facts["enum"])
    elif "anyOf" in facts or "oneOf" in facts:
        for option in facts.get("anyOf", facts.get("oneOf", [])):
            yield type_of(option)
    elif "allOf" in facts:
        for option in facts["allOf"]:
            yield from _types(option)
    elif facts.get("type") == "array":
        yield f"list of {type_of(facts.get('items', {}))}"
    elif facts.get("type") == "object" and isinstance(facts.get("additionalProperties"), dict):
        yield f"mapping to {type_of(facts['additionalProperties'])}"
    else:
        yield str(facts.get("type", "any"))


def _bounds(facts: dict[str, Any]) -> Iterator[str]:
    for low, high, unit in _RANGES:
        if low in facts and high in facts:
            yield f"{'from' if not unit else 'of'} {_number(facts[low])} to {_number(facts[high])}{unit}"
        elif low in facts:
            yield f"of at least {_number(facts[low])}{unit}"
        elif high in facts:
            yield f"of at most {_number(facts[high])}{unit}"
    for key, word in (("exclusiveMinimum", "above"), ("exclusiveMaximum", "below")):
        if key in facts:
            yield f"{word} {_number(facts[key])}"


def _number(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
