"""Who calls: a token in the ``Authorization`` header, never in a URL, and what it may do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from config.clock import Clock
from engine import api_tokens
from engine.api_tokens import Access
from engine.database import Database

#: Describes the scheme in OpenAPI; the header itself is read by ``engine.api_tokens``, which takes
#: a bare token too.
_SCHEME = HTTPBearer(auto_error=False, description="A token of 'tillbell tokens create'.")


def database_of(request: Request) -> Database:
    """Return the database of the application that serves a request."""
    found: Database = request.app.state.database
    return found


def bodies_kept_of(request: Request) -> timedelta:
    """Return how long the bodies of events are kept."""
    found: timedelta = request.app.state.bodies_kept
    return found


def clock_of(request: Request) -> Clock:
    """Return the clock of the application that serves a request."""
    found: Clock = request.app.state.clock
    return found


def allowed(scope: str) -> Callable[[Request], Access]:
    """Return a dependency: who calls, if a valid token has ``scope``.

    Raises NotAuthenticated or Forbidden. A use is noted at most once a minute.
    """

    def check(request: Request) -> Access:
        database, now = database_of(request), clock_of(request).now()
        with database.read() as connection:
            access = api_tokens.authenticate(connection, request.headers.get("authorization"), now)
        if not access.is_noted(now):
            with database.write() as connection:
                api_tokens.mark_used(connection, access, now)
        access.require(scope)
        return access

    return check


#: For routers: lets OpenAPI say that a token is needed.
DOCUMENTED = [Depends(_SCHEME)]

EventsReader = Annotated[Access, Depends(allowed("events.read"))]
DeliveriesReader = Annotated[Access, Depends(allowed("deliveries.read"))]
EndpointsReader = Annotated[Access, Depends(allowed("endpoints.read"))]
ManifestsReader = Annotated[Access, Depends(allowed("manifests.read"))]
OfDatabase = Annotated[Database, Depends(database_of)]
OfClock = Annotated[Clock, Depends(clock_of)]
OfBodiesKept = Annotated[timedelta, Depends(bodies_kept_of)]
