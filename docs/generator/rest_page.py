"""The reference of the REST interface, from the OpenAPI document the server serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.app import create_app
from docs.generator.schema_page import type_of
from docs.generator.tables import code, fields_of, table
from hpsearch.settings import Settings

_HEAD = """\
# REST

{description}

A running server shows the same at `/docs`, where requests can be tried, and serves `/openapi.json`. The document of
this version: {{download}}`openapi.json`. How to use it: [the guide](../rest.md).
"""
_METHODS = ("get", "post", "put", "patch", "delete")


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return create_app(Settings()).openapi()


def rest_page(openapi: dict[str, Any]) -> str:
    """Return the page.

    Args:
        openapi: The document.
    """
    parts = [_HEAD.format(description=openapi["info"]["description"])]
    for tag in openapi["tags"]:
        parts.append(f"## {tag['name']}\n\n{tag['description']}\n")
        parts += [_operation(*found) for found in _operations(openapi, tag["name"])]
    parts.append("## Objects\n")
    schemas = openapi["components"]["schemas"]
    parts += [_schema(name, schemas[name]) for name in sorted(schemas)]
    return "\n".join(parts)


def _operations(openapi: dict[str, Any], tag: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in openapi["paths"].items():
        for method in _METHODS:
            if method in item and tag in item[method]["tags"]:
                yield method.upper(), path, item[method]


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = [
        [code(one["name"]), one["in"], type_of(one["schema"]), one.get("description", "")]
        for one in operation.get("parameters", [])
    ]
    summary, description = operation.get("summary", ""), operation.get("description", "")
    is_said_twice = description.startswith(summary.rstrip("."))
    lines = [f"### {method} {path}\n", *([] if is_said_twice else [summary, ""]), description, ""]
    lines.append(table(["parameter", "in", "type", "means"], rows))
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        lines.append(f"Body: {', '.join(f'{_shape(shape)} ({kind})' for kind, shape in body.items())}\n")
    answers = [
        [code(status), ", ".join(_shape(shape) for shape in answer.get("content", {}).values()), _meaning(answer)]
        for status, answer in operation["responses"].items()
    ]
    lines.append(table(["answer", "body", "means"], answers))
    return "\n".join(lines)


def _meaning(answer: dict[str, Any]) -> str:
    return str(answer["description"]).replace("Successful Response", "")  # what FastAPI says where nobody says more


def _shape(shape: dict[str, Any]) -> str:
    return type_of(shape.get("schema", {}))


def _schema(name: str, schema: dict[str, Any]) -> str:
    text = schema.get("description", "").split("\n\n")[0].replace("\n", " ")
    if "properties" not in schema:
        return f"### {name}\n\n{text}\n\n{type_of(schema)}\n"
    required = set(schema.get("required", []))
    told, title = fields_of(name), name
    rows = [
        [
            code(field),
            type_of(facts),
            "yes" if field in required else "",
            facts.get("description") or told.get(field, ""),
        ]
        for field, facts in schema["properties"].items()
    ]
    return f"### {title}\n\n{text}\n\n{table(['field', 'type', 'required', 'means'], rows)}"
