"""Refusals as answers: one shape and one table of statuses for every route (domain.md 2.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from config.errors import TillbellError
from config.log import get_logger
from dispatcher.errors import SignatureRefused
from engine import errors
from engine.ids import new_id
from reconciler.upstream_reading import UnreadableAnswer

log = get_logger("api")

#: The nearest class of a refusal decides its status; what is not named is a defect of ours.
STATUSES: Mapping[type[TillbellError], int] = {
    errors.InvalidInput: 400,
    UnreadableAnswer: 400,
    SignatureRefused: 401,
    errors.NotAuthenticated: 401,
    errors.InsufficientBalance: 402,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.InvalidStatus: 409,
    errors.AlreadyExists: 409,
    errors.StockUnavailable: 409,
    errors.ProgramUnavailable: 409,
    errors.PurchaseLimitExceeded: 409,
    errors.CursorExpired: 410,
    errors.BodyExpired: 410,
    errors.DraftExpired: 410,
    errors.TooManyDrafts: 429,
    errors.DatabaseUnavailable: 503,
    TillbellError: 500,
}


class ErrorFacts(BaseModel):
    """What was refused: ``code`` is stable, the texts are for people."""

    code: str
    message: str
    detail: str
    status: int
    details: dict[str, Any]
    fields: dict[str, str]
    request_id: str


class ErrorAnswer(BaseModel):
    """The body of every refusal."""

    error: ErrorFacts
    errorCode: str  # noqa: N815  # document 000 spells it so


def install(app: FastAPI) -> None:
    """Answer every refusal of ``app`` in the one shape; what is unforeseen is 500 and logged."""
    app.add_exception_handler(TillbellError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_exception_handler(OperationalError, _database_lost)
    app.add_exception_handler(Exception, _failed)


def status_of(error: TillbellError) -> int:
    """Return the HTTP status of a refusal."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def answer(
    code: str,
    message: str,
    status: int,
    *,
    details: Mapping[str, Any] | None = None,
    fields: Mapping[str, str] | None = None,
) -> Response:
    """Return a refusal; its ``request_id`` stands in the header ``x-request-id`` too."""
    request_id = new_id()
    facts = {
        "code": code,
        "message": message,
        "detail": message,
        "status": status,
        "details": dict(details or {}),
        "fields": dict(fields or {}),
        "request_id": request_id,
    }
    headers = {"x-request-id": request_id, "cache-control": "no-store"}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if status >= 500:
        log.error("request.failed", request_id=request_id, code=code, reason=message[:200])
    body = orjson.dumps({"error": facts, "errorCode": code}, default=str)
    return Response(body, status, headers, "application/json")


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TillbellError)
    field = error.details.get("field")
    return answer(
        error.code,
        error.message,
        status_of(error),
        details=error.details,
        fields={str(field): error.message} if field else None,
    )


def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = {_field(problem["loc"]): str(problem["msg"]) for problem in error.errors()}
    sentence = "; ".join(f"{name}: {text}" for name, text in fields.items())
    return answer(errors.InvalidInput.code, sentence, 400, fields=fields)


def _field(location: Sequence[Any]) -> str:
    """Return a parameter's name without the part of the request it stands in."""
    return ".".join(str(part) for part in location[1:]) or str(location[0])


def _unrouted(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "HTTP_ERROR")
    refused = answer(code, str(error.detail), error.status_code)
    refused.headers.update(error.headers or {})
    return refused


def _database_lost(_request: Request, error: Exception) -> Response:
    log.error("database.lost", reason=type(error).__name__)
    return answer(errors.DatabaseUnavailable.code, "the database does not answer", 503)


def _failed(_request: Request, error: Exception) -> Response:
    log.error("request.defect", reason=type(error).__name__)
    return answer(TillbellError.code, "something failed on our side; nothing was changed", 500)
