"""What is in the tree is what the hub says; and the generator refuses what it does not understand."""

from __future__ import annotations

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
        Pair={"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
        Odd={"anyOf": [{"$ref": "#/components/schemas/Level"}, {"description": "anything"}]},
        Kind={"oneOf": [
            {"type": "string", "enum": ["none"]},
            {"type": "object", "required": ["made"], "properties": {"made": {
                "type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}}}]},
        Tags={"type": "object", "additionalProperties": {"type": "string"}},
    )
    space: dict[str, Any] = {}
    exec(compile(text, "types.py", "exec"), space)
    assert space["Range"].__required_keys__ == {"from"} and space["Range"].__optional_keys__ == {"unit"}
    assert space["Named"].__required_keys__ == {"from", "name"}
    assert space["Step"] == "StepScale | None" and space["Level"] == "str | float"
    assert space["Pair"] == "tuple[int, str]" and space["Odd"] == "Level | _t.Any"
    assert space["Kind"] == '_t.Literal["none"] | KindMade' and space["KindMadeMade"].__required_keys__ == {"text"}
    assert "Tags: _t.TypeAlias = \"dict[str, str]\"" in text


@pytest.mark.parametrize("schema", [
    {"type": "object", "properties": {"a": {"type": "tuple"}}},
    {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
    {"not": {"type": "string"}},
    {"const": 3},
    {"allOf": [{"type": "string"}, {"type": "object"}]},
])
def test_what_is_not_understood_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood):
        of(Odd=schema)


def test_names_that_would_become_one_are_refused() -> None:
    with pytest.raises(NotUnderstood, match="one name"):
        of(Some_Thing={"type": "string"}, SomeThing={"type": "string"})


def test_calls_hand_over_what_they_are_given() -> None:
    document: dict[str, Any] = {"components": {"schemas": {}}, "paths": {"/api/v1/w/{workspace}/things/{thing}": {"get": {
        "operationId": "show_thing", "parameters": [
            {"name": "thing", "in": "path", "required": True, "schema": {"type": "string"}},
            {"name": "from", "in": "query", "schema": {"type": "integer"}}],
        "responses": {"200": {"content": {"text/plain": {"schema": {"type": "string"}}}}}}}}}
    calls = next(text for path, text in generate.generate(document).items() if path.name == "calls.py")
    assert "from_: int | None = None" in calls and '"from": from_' in calls
    assert "/things/{self._segment(thing)}" in calls
    thing = document["paths"].pop("/api/v1/w/{workspace}/things/{thing}")
    document["paths"]["/api/v1/things/{*thing}"] = thing
    calls = next(text for path, text in generate.generate(document).items() if path.name == "calls.py")
    assert "/things/{self._rest(thing)}" in calls
    thing["get"]["parameters"][0]["name"] = "other"
    with pytest.raises(NotUnderstood, match="thing"):
        generate.generate(document)
