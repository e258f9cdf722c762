"""Answers as bytes: the fields a shape describes, instants in UTC to the second (domain.md 2.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response
from pydantic import BaseModel

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
#: What a tenant reads is not kept by anything in between.
HEADERS = {"cache-control": "no-store"}


def answer(document: Mapping[str, Any]) -> Response:
    """Return a JSON answer; fragments in it are kept byte for byte."""
    return Response(orjson.dumps(document, option=_OPTIONS), 200, HEADERS, "application/json")


def shown(shape: type[BaseModel], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return those fields of a row that ``shape`` describes, and no others."""
    return {name: row[name] for name in shape.model_fields}


def paged(shape: type[BaseModel], found: Mapping[str, Any]) -> Response:
    """Return a page of rows as ``shape`` describes each."""
    data = [shown(shape, row) for row in found["data"]]
    return answer({"data": data, "next_cursor": found["next_cursor"]})
