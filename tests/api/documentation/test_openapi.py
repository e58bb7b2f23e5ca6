"""The OpenAPI document: complete, with true examples, and changed only on purpose."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from api.app import create_app
from api.documentation import examples
from hpsearch.domain.study import StudyDefinition
from hpsearch.settings import Settings
from hpsearch.wire import claims, reports, studies, tokens, workers

_SNAPSHOT = Path(__file__).with_name("openapi.json")
_METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document as it is served."""
    return create_app(Settings()).openapi()


def _operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in _METHODS
    ]


def _outline(document: dict[str, Any]) -> dict[str, Any]:
    """Return what clients depend on: routes, parameters, bodies, answers, schemas; not the words."""

    def bare(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: bare(value)
                for key, value in node.items()
                if not (
                    key in ("description", "title", "example", "examples", "summary")
                    and not isinstance(value, dict | list)
                )
                and key not in ("example", "examples")
            }
        return [bare(item) for item in node] if isinstance(node, list) else node

    return {"paths": bare(document["paths"]), "schemas": bare(document["components"]["schemas"])}


def test_the_contract_changes_only_on_purpose(document: dict[str, Any]) -> None:
    """Write it anew with HPSEARCH_TEST_WRITE_SNAPSHOTS=1 and look at the difference before committing it."""
    text = json.dumps(_outline(document), indent=1, sort_keys=True) + "\n"
    if os.environ.get("HPSEARCH_TEST_WRITE_SNAPSHOTS"):
        _SNAPSHOT.write_text(text, encoding="utf-8")
    assert json.loads(_SNAPSHOT.read_text(encoding="utf-8")) == json.loads(text)


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in _operations(document)]
    assert len(set(ids)) == len(ids) > 40
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in _operations(document):
        assert len(operation["description"]) > 20, name
        assert set(operation["tags"]) <= tags, name
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (name, parameter)
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)
            if int(status) >= 400 and name != "GET /readyz":
                assert list(answer["content"]) == ["application/problem+json"], (name, status)
        if name.split()[1].startswith("/v1"):
            assert operation["security"] == [{"token": []}], name
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            assert operation["requestBody"]["content"]["application/json"]["examples"], name


def test_summaries_are_short_sentences_and_names_are_methods(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        assert re.fullmatch(r"[A-Z].{10,110}\.", operation["summary"]), (name, operation["summary"])
        assert operation["summary"] != operation["operationId"].replace("_", " ").title(), name
        assert re.fullmatch(r"[a-z]+(_[a-z]+){1,3}", operation["operationId"]), name
        assert len(operation["tags"]) == 1, name


def test_a_route_names_the_errors_it_can_give_and_no_others(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        told = {int(status) for status in operation["responses"] if int(status) >= 400}
        given = [parameter for parameter in operation.get("parameters", []) if parameter["in"] != "path"]
        has_body = "requestBody" in operation
        has_json = "application/json" in operation.get("requestBody", {}).get("content", {})
        assert ({401, 403, 503} <= told) == ("security" in operation), name
        assert (422 in told) == bool(given or has_body), name
        assert ({408, 413} <= told) == has_body, name
        assert {400, 415} <= told or not has_json, name
        if "{" in name:
            assert 404 in told, name
        if not has_body:
            assert not told & {400, 408, 413, 415}, name
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                name = node["$ref"].removeprefix("#/components/schemas/")
                assert name in document["components"]["schemas"], name
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for item in node:
                walk(item)

    walk(document)


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (StudyDefinition, examples.STUDIES),
        (studies.StudyPatch, examples.PATCH),
        (studies.ExtendRequest, examples.EXTEND),
        (studies.CloneRequest, examples.CLONE),
        (studies.EnqueueRequest, examples.POINT),
        (tokens.TokenRequest, examples.TOKEN),
        (workers.RegisterRequest, examples.REGISTER),
        (claims.ClaimRequest, examples.CLAIM),
        (reports.ReportRequest, examples.REPORT),
    ],
)
def test_examples_are_valid(model: type[BaseModel], given: dict[str, Any]) -> None:
    assert given
    for example in given.values():
        model.model_validate(json.loads(json.dumps(example["value"])))
