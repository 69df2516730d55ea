"""docs/targets.schema.json, made from the models: editors complete and check targets.yaml by it."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from backstop.targets.models import Configuration

_MODELS = [Path(__file__).with_name(f"{name}.py") for name in ("models", "database", "cluster")]


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of targets.yaml, with a description of every key."""
    schema = Configuration.model_json_schema(mode="validation")
    texts = {
        place: text
        for file in _MODELS
        for place, text in attribute_texts(file.read_text(encoding="utf-8")).items()
    }
    for name, section in {"Configuration": schema, **schema["$defs"]}.items():
        for key, value in section.get("properties", {}).items():
            if (name, key) in texts:
                value["description"] = texts[name, key]
            value.pop("title", None)
        section.pop("title", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Backstop targets.yaml",
        **schema,
    }


def schema_text() -> str:
    """The text of docs/targets.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def attribute_texts(source: str) -> dict[tuple[str, str], str]:
    """(class, attribute) to the string that stands under the attribute."""
    texts: dict[tuple[str, str], str] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
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
