"""Checks documents of --json against the published schema, more strictly: a row has no other keys than described."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parents[2] / "docs" / "assets" / "workmesh-output.schema.json"


def published() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


def _strict() -> dict[str, Any]:
    schema = published()
    for definition in schema["$defs"].values():
        if definition["type"] == "object":
            definition["additionalProperties"] = False
    return {**schema, "additionalProperties": False}


VALIDATOR = Draft202012Validator(_strict())


def checked(text: str) -> dict[str, Any]:
    """The document in a command's output, which has nothing else; it must match the schema."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    document: dict[str, Any] = json.loads(lines[0])
    problems = [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(document)]
    assert not problems, "\n".join([*problems, text])
    return document
