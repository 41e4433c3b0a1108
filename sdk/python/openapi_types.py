"""What stands for the schemas of an OpenAPI document: types in Python.

Called by `generate.py` alone.
"""

from __future__ import annotations

import json
import keyword
import re
import textwrap
from typing import Any

WIDTH = 110
"""Longest line of a description, in characters."""

PAGE = "Page_"
"""Schemas of this name are pages of a list; a list becomes an iterator and needs no type of its own."""

STRUCTURE = {"allOf", "const", "enum", "items", "not", "properties"}
"""What says how a value is made. A schema with none of it takes anything."""

HEADER = '''"""{what}

Written by `generate.py` from the hub's OpenAPI document: change that, not this.
"""

from __future__ import annotations

'''


class NotUnderstood(Exception):
    """Something in the document that this program has no word for."""


def class_name(schema: str) -> str:
    """`Budgeted_Span` and `serve-failure` as Python names classes."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", schema))


def argument(name: str) -> str:
    """A name that Python has no other use for."""
    name = re.sub(r"[^A-Za-z0-9]", "_", name)
    return f"{name}_" if keyword.iskeyword(name) else name


def described(text: str | None, indent: str) -> list[str]:
    """A docstring; nothing for nothing."""
    if not text:
        return []
    text = text.replace("\\", "\\\\").replace('"""', "'''").strip()
    # What ends with a quotation mark would end the docstring early.
    text = text + " " if text.endswith('"') else text
    blocks = []
    for paragraph in text.split("\n\n"):
        # Lines that begin like a list or a table stay lines.
        if re.search(r"^\s*([-*|]|\d+\.) ", paragraph, re.MULTILINE):
            lines = [filled(line, indent, indent + "  ") for line in paragraph.split("\n")]
            blocks.append("\n".join(lines))
        else:
            words = " ".join(paragraph.split())
            blocks.append(filled(words, indent, indent))
    joined = "\n\n".join(blocks)
    lines = (indent + '"""' + joined[len(indent):]).split("\n")
    if len(lines) == 1 and len(lines[0]) <= WIDTH:
        return [lines[0] + '"""']
    return [*lines, indent + '"""']


def filled(text: str, first: str, then: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=then, break_long_words=False,
                         break_on_hyphens=False)


class Types:
    """What stands for the schemas."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self.schemas = schemas
        self.names = {name: class_name(name) for name in schemas if not name.startswith(PAGE)}
        twice = [name for name in self.names if list(self.names.values()).count(self.names[name]) > 1]
        if twice:
            raise NotUnderstood(f"schemas that become one name: {twice}")
        self.written: dict[str, list[str]] = {}

    def of(self, schema: dict[str, Any], prefix: str = "", within: str | None = None) -> str:
        """The type of a schema, as an annotation; `prefix` is where classes are found. `within` is what an object is
        called that has no name of its own."""
        if "$ref" in schema:
            return prefix + self.names[reference(schema)]
        if variants := schema.get("oneOf") or schema.get("anyOf"):
            alone = sum("properties" in one for one in variants) < 2
            found = [self.of(one, prefix, within and (within if alone else f"{within}{variant_name(one) or at}"))
                     if "properties" in one else self.of(one, prefix, within) for at, one in enumerate(variants, 1)]
            return " | ".join(dict.fromkeys(found))
        if "allOf" in schema and len(schema["allOf"]) == 1:
            return self.of(schema["allOf"][0], prefix)
        if "enum" in schema:
            return f"_t.Literal[{', '.join(json.dumps(value) for value in schema['enum'])}]"
        kind = schema.get("type")
        if isinstance(kind, list):
            return " | ".join(self.of({**schema, "type": one}, prefix) for one in kind)
        match kind:
            case "string":
                return "str"
            case "integer":
                return "int"
            case "number":
                return "float"
            case "boolean":
                return "bool"
            case "null":
                return "None"
            case "array" if "prefixItems" in schema:
                return f"tuple[{', '.join(self.of(one, prefix) for one in schema['prefixItems'])}]"
            case "array":
                return f"list[{self.of(schema['items'], prefix, within)}]"
            case "object" if not schema.get("properties"):
                values = schema.get("additionalProperties")
                return f"dict[str, {self.of(values, prefix, within) if isinstance(values, dict) else '_t.Any'}]"
            case "object" if within is not None:
                if within in self.names.values() or within in self.written:
                    raise NotUnderstood(f"{within} is a schema and an object without a name")
                self.written[within] = self.typed_dict(within, schema, [])
                return within
            case None if not set(schema) & STRUCTURE:
                return "_t.Any"
        raise NotUnderstood(json.dumps(schema)[:400])

    def text(self) -> str:
        for name in self.names:
            self.write(name)
        blocks = ["\n".join(lines) for lines in self.written.values()]
        header = HEADER.format(what="What the hub says and is told: plain JSON with names.")
        return header + "import typing as _t\n\n\n" + "\n\n\n".join(blocks) + "\n"

    def write(self, name: str) -> None:
        if name in self.written:
            return
        schema, python = self.schemas[name], self.names[name]
        self.written[name] = []
        if "allOf" in schema:
            self.written[name] = self.combined(python, schema)
        elif schema.get("properties") is not None:
            self.written[name] = self.typed_dict(python, schema, [])
        elif "oneOf" in schema:
            self.written[name] = self.variants(python, schema)
        else:
            self.written[name] = [f"{python}: _t.TypeAlias = {alias(self.of(schema))}",
                                  *described(schema.get("description"), "")]
        # What others inherit from has to be there before them: the last to be begun comes first.
        self.written[name] = self.written.pop(name)

    def combined(self, python: str, schema: dict[str, Any]) -> list[str]:
        """What is another thing and more."""
        bases: list[str] = []
        own: dict[str, Any] = {"properties": {}, "required": [], "description": schema.get("description")}
        for part in schema["allOf"]:
            if "$ref" in part:
                self.write(reference(part))
                bases.append(self.names[reference(part)])
            elif part.get("type") == "object":
                own["properties"] |= part.get("properties", {})
                own["required"] += part.get("required", [])
            else:
                raise NotUnderstood(f"{python} is made of {json.dumps(part)[:200]}")
        return self.typed_dict(python, own, bases)

    def typed_dict(self, python: str, schema: dict[str, Any], bases: list[str]) -> list[str]:
        """A class of what is always there, and one of what may be left out on top of it: Python 3.10 knows no
        `NotRequired`."""
        properties, required = schema["properties"], set(schema.get("required", []))
        always = {key: value for key, value in properties.items() if key in required}
        maybe = {key: value for key, value in properties.items() if key not in required}
        lines: list[str] = []
        parts = list(bases)
        sections = [("Required", always, ""), ("Optional", maybe, ", total=False")]
        # What can be written in the class itself is; keys that are no Python names need the other notation.
        last = next((at for at in (1, 0) if sections[at][1] and named(sections[at][1])), None)
        for at, (part, keys, total) in enumerate(sections):
            if not keys or at == last:
                continue
            own = f"_{python}{part}"
            if named(keys):
                lines += [f"class {own}(_t.TypedDict{total}):", *self.fields(python, keys), "", ""]
            else:
                lines += [f"{own} = _t.TypedDict({json.dumps(own)}, {{"]
                lines += [f"    {json.dumps(key)}: {json.dumps(self.of(value, within=python + class_name(key)))}," for key, value in keys.items()]
                lines += [f"}}{total})", "", ""]
            parts.append(own)
        total = sections[last][2] if last is not None else ""
        lines += [f"class {python}({', '.join(parts or ['_t.TypedDict'])}{total}):"]
        body = described(schema.get("description"), "    ")
        if last is not None:
            body += [*([""] if body else []), *self.fields(python, sections[last][1])]
        return lines + (body or ["    pass"])

    def fields(self, python: str, keys: dict[str, Any]) -> list[str]:
        lines: list[str] = []
        for key, value in keys.items():
            description = value.get("description") or next(
                (one["description"] for one in value.get("oneOf", []) if "description" in one), None)
            lines += [f"    {key}: {self.of(value, within=python + class_name(key))}", *described(description, "    ")]
        return lines

    def variants(self, python: str, schema: dict[str, Any]) -> list[str]:
        lines: list[str] = []
        union: list[str] = []
        for number, variant in enumerate(schema["oneOf"], 1):
            if not variant.get("properties") and "allOf" not in variant:
                union.append(self.of(variant))
                continue
            own = f"{python}{variant_name(variant) or number}"
            if own in self.names.values():
                raise NotUnderstood(f"{own} is a schema and a variant of {python}")
            made = self.combined(own, variant) if "allOf" in variant else self.typed_dict(own, variant, [])
            lines += [*made, "", ""]
            union.append(own)
        return [*lines, f"{python}: _t.TypeAlias = {alias(' | '.join(union))}",
                *described(schema.get("description"), "")]


def alias(annotation: str) -> str:
    """A type as a value: in quotes if it names what may come later in the file, or an operator that Python 3.10 lacks."""
    plain = annotation in PLAIN or annotation.startswith("_t.Literal[") and " | " not in annotation
    return annotation if plain else json.dumps(annotation)


PLAIN = {"str", "int", "float", "bool"}


def named(keys: dict[str, Any]) -> bool:
    return all(key.isidentifier() and not keyword.iskeyword(key) for key in keys)


def variant_name(variant: dict[str, Any]) -> str | None:
    """What tells a variant from the others: the one value of a key, or its only key."""
    parts = variant.get("allOf", [variant])
    properties = {key: value for part in parts for key, value in part.get("properties", {}).items()}
    tags = [value["enum"][0] for value in properties.values() if len(value.get("enum", [])) == 1]
    if len(tags) == 1:
        return class_name(tags[0])
    return class_name(next(iter(properties))) if len(properties) == 1 else None


def reference(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[-1]
