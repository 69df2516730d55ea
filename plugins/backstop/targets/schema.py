"""docs/targets.schema.json, made from the models: editors complete and check targets.yaml by it."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.targets.models import Configuration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECTIONS = (
    "access retention pools check_rules database cluster trees expiry watch probes drill disaster legacy"
    " alerts models"
)
_MODELS = [Path(__file__).with_name(f"{name}.py") for name in _SECTIONS.split()]


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of targets.yaml, with a description of every key."""
    schema = Configuration.model_json_schema(mode="validation")
    texts: dict[tuple[str, str], str] = {}
    for file in _MODELS:
        texts = attribute_texts(file.read_text(encoding="utf-8"), known=texts)
    for name, section in {"Configuration": schema, **schema["$defs"]}.items():
        for key, value in section.get("properties", {}).items():
            if (name, key) in texts:
                value["description"] = texts[name, key]
            value.pop("title", None)
        section.pop("title", None)
    for section in _inheriting(schema):
        # It may be in `defaults`; check-targets says what neither has.
        section.pop("required", None)
    properties = schema["properties"]
    properties["defaults"] = {"$ref": "#/$defs/Target", "description": properties["defaults"]["description"]}
    # Of a directory, what is shared is in one file, and targets are in others, alone.
    required = [key for key in schema.pop("required") if key != "targets"]
    schema["anyOf"] = [{"required": required}, {"required": ["targets"], "maxProperties": 2}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Backstop targets.yaml",
        **schema,
    }


def _inheriting(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The sections of a target that `defaults` are merged into: its own, and those below it by a key."""
    waiting, seen = ["Target"], {"Target"}
    while waiting:
        section = schema["$defs"][waiting.pop()]
        yield section
        for value in section.get("properties", {}).values():
            for form in (value, value.get("additionalProperties"), *value.get("anyOf", ())):
                name = form.get("$ref", "").rpartition("/")[2] if isinstance(form, dict) else ""
                if name and name not in seen:
                    seen.add(name)
                    waiting.append(name)


def schema_text() -> str:
    """The text of docs/targets.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def attribute_texts(
    source: str, *, known: Mapping[tuple[str, str], str] | None = None
) -> dict[tuple[str, str], str]:
    """(class, attribute) to the string that stands under the attribute, in the class or one it extends.

    :param known: of files read before; the result has them too.
    """
    texts = dict(known or {})
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
        texts |= {(node.name, name): text for (owner, name), text in texts.items() if owner in bases}
        for statement, below in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            ):
                texts[node.name, statement.target.id] = " ".join(below.value.value.split())
    return texts
