"""What is in the tree is what the hub says; and the generator refuses what it does not understand."""

from __future__ import annotations

import json
from typing import Any

import pytest

import generate
import tern
from openapi_types import NotUnderstood, Types


def test_the_tree_has_the_api_of_this_hub(hub: tern.Hub) -> None:
    _, document = hub._http.json("GET", "/api/openapi.json", {}, None, None, None, None)
    for path, text in generate.generate(document).items():
        # Not the whole of both: the first difference is what somebody has to look at.
        pairs = zip(path.read_text("utf-8").splitlines(), text.splitlines())
        differs = next(((number, *pair) for number, pair in enumerate(pairs, 1) if pair[0] != pair[1]), None)
        assert differs is None, f"run sdk/python/generate.py: {path.name} {differs}"
        assert path.read_text("utf-8") == text


def of(**schemas: Any) -> str:
    return Types(schemas).text()


def test_types_say_what_schemas_say() -> None:
    text = of(
        Range={"type": "object", "required": ["from"], "properties": {"from": {"type": "integer"}, "unit": {"type": "string"}}},
        Named={"allOf": [{"$ref": "#/components/schemas/Range"},
                         {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}]},
        Step={"oneOf": [
            {"type": "object", "required": ["step"], "properties": {"step": {"type": "string", "enum": ["scale"]}}},
            {"type": "null"}]},
        Level={"type": ["string", "number"]},
        Tags={"type": "object", "additionalProperties": {"type": "string"}},
    )
    space: dict[str, Any] = {}
    exec(compile(text, "types.py", "exec"), space)
    assert space["Range"].__required_keys__ == {"from"} and space["Range"].__optional_keys__ == {"unit"}
    assert space["Named"].__required_keys__ == {"from", "name"}
    assert space["Step"] == "StepScale | None" and space["Level"] == "str | float"
    assert "Tags: _t.TypeAlias = \"dict[str, str]\"" in text


@pytest.mark.parametrize("schema", [
    {"type": "object", "properties": {"a": {"type": "tuple"}}},
    {"anyOf": [{"type": "string"}]},
    {"allOf": [{"type": "string"}, {"type": "object"}]},
])
def test_what_is_not_understood_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood):
        of(Odd=schema)


def test_names_that_would_become_one_are_refused() -> None:
    with pytest.raises(NotUnderstood, match="one name"):
        of(Some_Thing={"type": "string"}, SomeThing={"type": "string"})


def test_calls_hand_over_what_they_are_given() -> None:
    document = {"components": {"schemas": {}}, "paths": {"/api/v1/w/{workspace}/things/{thing}": {"get": {
        "operationId": "show_thing", "parameters": [
            {"name": "thing", "in": "path", "required": True, "schema": {"type": "string"}},
            {"name": "from", "in": "query", "schema": {"type": "integer"}}],
        "responses": {"200": {"content": {"text/plain": {"schema": {"type": "string"}}}}}}}}}
    calls = next(text for path, text in generate.generate(document).items() if path.name == "calls.py")
    assert "from_: int | None = None" in calls and '"from": from_' in calls
    assert "/things/{self._segment(thing)}" in calls
    document["paths"]["/api/v1/w/{workspace}/things/{thing}"]["get"]["parameters"][0]["name"] = "other"  # type: ignore[index]
    with pytest.raises(NotUnderstood, match="thing"):
        generate.generate(document)
    json.dumps(document)
