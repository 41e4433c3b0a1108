"""Writes `src/tern/api/types.py` and `src/tern/api/calls.py` from the hub's OpenAPI document.

    python generate.py http://127.0.0.1:8080/api/openapi.json   # or a file with it
    python generate.py openapi.json --check                     # exit code 1: the tree has something else

Run by people after the API changed, and by a test with `--check` against a running hub, so that what is in
the tree cannot go stale. Uses nothing but the standard library.

Must never break: the same document gives the same bytes; a document with something that is not understood is
refused by name instead of becoming a type that says less than the hub does.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

from openapi_types import HEADER, PAGE, NotUnderstood, Types, argument, described, reference

API = Path(__file__).parent / "src" / "tern" / "api"

WORKSPACE = "/api/v1/w/{workspace}"
"""What the paths of a workspace begin with."""

SLOW = {"publish_version", "transcode_version", "rehearse_plan"}
"""Calls that the hub answers after it has loaded, run and measured a model."""

TWICE = {"import_labels", "import_labels_csv", "publish_version"}
"""POSTs that may be made again when nobody knows whether they arrived: what is known already changes nothing."""

JSON = "application/json"
CSV = "text/csv"
BYTES = "application/octet-stream"
EVENTS = "text/event-stream"


class Parameter(NamedTuple):
    name: str
    python: str
    annotation: str
    place: str
    description: str


class Calls:
    """One method a route."""

    def __init__(self, document: dict[str, Any], types: Types) -> None:
        self.document = document
        self.types = types

    def text(self) -> str:
        methods: dict[str, list[str]] = {}
        for path, item in self.document["paths"].items():
            for verb in ("get", "put", "post", "delete", "patch", "head"):
                if verb in item:
                    for name, lines in self.methods(path, verb, item[verb]):
                        if name in methods:
                            raise NotUnderstood(f"two calls are named {name}")
                        methods[name] = lines
        body = "\n\n".join("\n".join(methods[name]) for name in sorted(methods))
        header = HEADER.format(what="The calls of the hub's REST API, one method each.")
        header += "import typing as _t\n\n"
        header += "from .._caller import Caller as _Caller\n"
        header += "from .._http import Content as _Content\n"
        header += "from ..streams import Download as _Download, Events as _Events, Pages as _Pages\n"
        header += "from . import types as t\n\n\n"
        header += "class Calls(_Caller):\n"
        header += '    """Every call of the hub, as its OpenAPI document has it. Those of a workspace speak about\n'
        header += '    `self.workspace`. `timeout` is in seconds.\n    """\n\n'
        return header + body + "\n"

    def methods(self, path: str, verb: str, operation: dict[str, Any]) -> list[tuple[str, list[str]]]:
        name = operation["operationId"]
        bodies = operation.get("requestBody", {}).get("content", {})
        answers = self.answers(operation)
        both = set(answers) >= {JSON, CSV}
        made = [(name, self.method(name, path, verb, operation, next(iter(bodies), None),
                                   JSON if both else next(iter(answers), None), None))]
        if both:
            made.append((f"{name}_csv", self.method(f"{name}_csv", path, verb, operation, None, CSV, "csv")))
        if CSV in bodies and len(bodies) > 1:
            made.append((f"{name}_csv", self.method(f"{name}_csv", path, verb, operation, CSV, JSON, None)))
        return made

    def answers(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Of each content type of a success its schema."""
        found: dict[str, Any] = {}
        for status, response in operation["responses"].items():
            if status.startswith("2"):
                for kind, content in response.get("content", {}).items():
                    found.setdefault(kind, content.get("schema", {}))
        return found

    def parameters(self, path: str, operation: dict[str, Any]) -> list[Parameter]:
        found = []
        for one in operation.get("parameters", []):
            annotation = self.types.of(one["schema"], "t.")
            if one["in"] not in ("path", "query"):
                raise NotUnderstood(f"{operation['operationId']} has a parameter in {one['in']}")
            name = one["name"].removeprefix("*")
            found.append(Parameter(name, argument(name), annotation, one["in"], one.get("description", "")))
        undeclared = set(re.findall(r"{\*?(\w+)}", path)) - {one.name for one in found} - {"workspace"}
        if undeclared:
            raise NotUnderstood(f"{path} does not declare {undeclared}")
        return found

    def method(self, name: str, path: str, verb: str, operation: dict[str, Any], body: str | None,
               answer: str | None, form: str | None) -> list[str]:
        parameters = self.parameters(path, operation)
        required = {one["name"] for one in operation.get("parameters", []) if one.get("required")}
        answers = self.answers(operation)
        schema = answers.get(answer or "", {})
        is_list = reference(schema).startswith(PAGE) if "$ref" in schema else False
        pages = is_list and any(one.name == "after" for one in parameters)
        in_path = [one for one in parameters if one.place == "path"]
        query = [one for one in parameters if one.place == "query" and not (one.name == "format" and CSV in answers)]
        must = [one for one in query if one.name in required]
        may = [one for one in query if one.name not in required]

        arguments = ["self", *(f"{one.python}: {one.annotation}" for one in in_path)]
        if body is not None:
            arguments.append(f"body: {self.body(operation, body)}")
        arguments.append("*")
        arguments += [f"{one.python}: {one.annotation}" for one in must]
        arguments += [f"{one.python}: {one.annotation} | None = None" for one in may]
        arguments.append("timeout: float | None = None")

        place = path.replace("{workspace}", "{self._workspace}")
        for one in in_path:
            place = place.replace(f"{{{one.name}}}", f"{{self._segment({one.python})}}")
            # A parameter that takes the rest of the path keeps its slashes.
            place = place.replace(f"{{*{one.name}}}", f"{{self._rest({one.python})}}")
        handed = [f'f"{place}"' if "{" in place else f'"{place}"']
        pairs = [f'"{one.name}": {one.python}' for one in query] + ([f'"format": "{form}"'] if form else [])
        if pairs:
            handed.append(f"query={{{', '.join(pairs)}}}")
        if body is not None:
            handed.append("body=body" if body == JSON else f'content=body, kind="{body}"')
        if name in SLOW:
            handed.append("slow=True")
        if name in TWICE:
            handed.append("twice=True")
        handed.append("timeout=timeout")
        statuses = {status for status in operation["responses"] if status.startswith("2")}
        returns, call = self.answer(verb, schema, answer, is_list, pages, statuses)
        doc = f"`{verb.upper()} {path.removeprefix(WORKSPACE)}`: {operation.get('summary', '').strip()}"
        if operation.get("description"):
            doc += "\n\n" + operation["description"]
        told = [f"- {one.python}: {' '.join(one.description.split())}" for one in [*in_path, *must, *may]
                if one.description and one.name != "after"]
        if told:
            doc += "\n\n" + "\n".join(told)
        if pages:
            # A list goes on by itself; whoever starts in its middle says so.
            doc += "\n\nFurther pages are fetched as the items are asked for; `after` begins behind an item, and " \
                   "`limit` is the size of a page."
        lines = [f"    def {name}(", *(f"        {one}," for one in arguments), f"    ) -> {returns}:"]
        lines += described(doc, "        ")
        asked = [f'"{verb.upper()}",', *(f"{one}," for one in handed)]
        if returns == "None":
            return [*lines, f"        self.{call}(", *(f"            {one}" for one in asked), "        )"]
        if returns in ("str", "bool", "_Download"):
            return [*lines, f"        return self.{call}(", *(f"            {one}" for one in asked), "        )"]
        return [*lines, "        return _t.cast(", f'            "{returns}",', f"            self.{call}(",
                *(f"                {one}" for one in asked), "            ),", "        )"]

    def body(self, operation: dict[str, Any], kind: str) -> str:
        if kind == JSON:
            return self.types.of(operation["requestBody"]["content"][kind]["schema"], "t.")
        if kind == CSV:
            return "str | _Content"
        if kind == BYTES:
            return "_Content"
        raise NotUnderstood(f"{operation['operationId']} takes {kind}")

    def answer(self, verb: str, schema: dict[str, Any], kind: str | None, is_list: bool, pages: bool,
               statuses: set[str]) -> tuple[str, str]:
        """What a method gives, and which word of `_caller` gets it."""
        if kind is None:
            return ("bool", "_exists") if verb == "head" else ("None", "_tell")
        if kind == JSON:
            if is_list:
                item = self.types.of(self.types.schemas[reference(schema)]["properties"]["items"]["items"], "t.")
                return f"_Pages[{item}]", "_pages" if pages else "_list"
            one = self.types.of(schema, "t.")
            return (f"tuple[{one}, bool]", "_made") if statuses == {"200", "201"} else (one, "_json")
        if kind == EVENTS:
            return f"_Events[{self.types.of(schema, 't.')}]", "_events"
        if kind == BYTES:
            return "_Download", "_bytes"
        return "str", "_text"


def generate(document: dict[str, Any]) -> dict[Path, str]:
    """The files, by their place."""
    types = Types(document["components"]["schemas"])
    return {API / "types.py": types.text(), API / "calls.py": Calls(document, types).text()}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the typed calls from the hub's OpenAPI document.")
    parser.add_argument("document", help="its file, or its address")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if something would change")
    given = parser.parse_args()
    if re.match(r"https?://", given.document):
        with urllib.request.urlopen(given.document, timeout=60) as answer:
            document = json.load(answer)
    else:
        document = json.loads(Path(given.document).read_text("utf-8"))
    stale = False
    for path, text in generate(document).items():
        there = path.read_text("utf-8") if path.exists() else ""
        if there == text:
            continue
        stale = True
        if given.check:
            told = difflib.unified_diff(there.splitlines(), text.splitlines(), f"in the tree: {path.name}", "of the hub",
                                        lineterm="", n=1)
            print("\n".join([*told][:60]))
        else:
            path.write_text(text, "utf-8")
            print(f"wrote {path}")
    if given.check and stale:
        print("the hub's API is another than that of sdk/python: run sdk/python/generate.py against it")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
