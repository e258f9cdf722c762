"""The HTTP interface of a test's installation on a real socket, and callers with tokens."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from config.clock import Clock
from engine import api_tokens
from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from reconciler.upstream_inbound import InboundCallbacks

EVENTS = "/api/v1/webhooks/events"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        """The stable code of a refusal, which both places name."""
        found = self.document
        assert found["errorCode"] == found["error"]["code"]
        assert self.status == found["error"]["status"]
        return str(found["errorCode"])


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls the interface, with the ``Authorization`` header it was given."""

    port: int
    authorization: str | None = None

    def get(self, path: str, authorization: str | None = None) -> Reply:
        """Make one GET request."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        shown = authorization if authorization is not None else self.authorization
        try:
            connection.request("GET", path, headers={"authorization": shown} if shown else {})
            reply = connection.getresponse()
            headers = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(reply.status, headers, reply.read())
        finally:
            connection.close()

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Make one POST request."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", path, body=body, headers=dict(headers))
            reply = connection.getresponse()
            found = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(reply.status, found, reply.read())
        finally:
            connection.close()


@contextmanager
def serving(
    database: Database, clock: Clock, *, inbound: InboundCallbacks | None = None
) -> Iterator[tuple[FastAPI, int]]:
    """Serve the application on a free port of loopback while the block runs."""
    app = create_app(database, clock, {}, inbound=inbound)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # It listens already: a call made before the server runs waits for it.
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield app, listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def token(
    units: UnitsOfWork, tenant_id: str, scopes: Sequence[str] = api_tokens.SCOPES, **options: Any
) -> dict[str, Any]:
    """Issue a token with every scope, or those given."""
    with units.begin(actor="test") as work:
        return api_tokens.issue(work, tenant_id=tenant_id, scopes=scopes, **options)
