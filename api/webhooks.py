"""What a tenant may read of its webhooks: the pull feed, endpoints, deliveries, manifests.

Every route answers for the token's tenant alone; what belongs to another is not found (domain.md
2.6 and 4.2).
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime

from api import shapes
from api.answers import HEADERS, answer, paged, shown
from api.auth import (
    DOCUMENTED,
    DeliveriesReader,
    EndpointsReader,
    EventsReader,
    ManifestsReader,
    OfBodiesKept,
    OfClock,
    OfDatabase,
)
from api.errors import ErrorAnswer
from dispatcher import deliveries, endpoints, feed, manifest_views
from dispatcher.replay_selection import Selection
from engine.api_tokens import Access
from engine.errors import InvalidInput, NotFound
from engine.ids import is_id

_REFUSALS: dict[int | str, dict[str, Any]] = {
    "default": {"model": ErrorAnswer, "description": "A refusal; `errorCode` is stable."}
}
router = APIRouter(
    prefix="/api/v1/webhooks", tags=["webhooks"], dependencies=DOCUMENTED, responses=_REFUSALS
)

Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
After = Annotated[
    str | None, Query(max_length=200, description="`next_cursor` of the page before.")
]
#: PostgreSQL stores no NUL, so nothing that holds one can be found.
Text = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]+$")]
OneId = Annotated[str, Path(max_length=200)]


@router.get("/events", response_model=shapes.EventPage)
def list_events(
    *,
    access: EventsReader,
    database: OfDatabase,
    clock: OfClock,
    kept: OfBodiesKept,
    after: After = None,
    limit: Limit = feed.LIMIT_DEFAULT,
    type: Text = None,  # noqa: A002  # the parameter's name on the wire
    subject_id: Text = None,
) -> Response:
    """Read events in commit order, without a cursor those of the last 29 days.

    Nothing is lost and nothing comes twice: keep `next_cursor`, and pass it as `after`.
    """
    with database.read() as connection:
        page = feed.read_page(
            connection,
            access.tenant_id,
            now=clock.now(),
            after=after,
            limit=limit,
            type_name=type,
            subject_id=subject_id,
            kept=kept,
        )
    data = [_event(row, access) for row in page.events]
    return answer({"data": data, "next_cursor": page.next_cursor, "has_more": page.has_more})


@router.get(
    "/events/{event_id}/body",
    response_class=Response,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
def show_event_body(access: EventsReader, database: OfDatabase, event_id: OneId) -> Response:
    """Return exactly the bytes that are sent; those with codes need the scope `codes.read`."""
    with database.read() as connection:
        row = feed.read_event(connection, access.tenant_id, event_id)
    if _masked(row["body"]) is not None:
        access.require("codes.read")
    return Response(row["body"], 200, HEADERS, "application/json")


@router.get("/endpoints", response_model=shapes.EndpointPage)
def list_endpoints(
    *,
    access: EndpointsReader,
    database: OfDatabase,
    after: After = None,
    limit: Limit = 50,
    state: Text = None,
) -> Response:
    """List the tenant's endpoints, oldest first."""
    if after is not None and not is_id(after):
        raise InvalidInput("this is not a cursor of this list", field="after")
    with database.read() as connection:
        rows = endpoints.listing(connection, tenant_id=access.tenant_id, state=state)
    left = [row for row in rows if after is None or row["id"] > after.lower()]
    next_cursor = left[limit - 1]["id"] if len(left) > limit else None
    return paged(shapes.Endpoint, {"data": left[:limit], "next_cursor": next_cursor})


@router.get("/endpoints/{endpoint_id}", response_model=shapes.Endpoint)
def show_endpoint(access: EndpointsReader, database: OfDatabase, endpoint_id: OneId) -> Response:
    """Show one endpoint."""
    with database.read() as connection:
        row = endpoints.get(connection, endpoint_id)
    if row["tenant_id"] != access.tenant_id:
        raise NotFound(f"no endpoint {endpoint_id!r}", field="endpoint_id", value=endpoint_id)
    return answer(shown(shapes.Endpoint, row))


@router.get("/deliveries", response_model=shapes.DeliveryPage)
def list_deliveries(
    *,
    access: DeliveriesReader,
    database: OfDatabase,
    after: After = None,
    limit: Limit = 50,
    state: Text = None,
    endpoint_id: Text = None,
    event_id: Text = None,
    event: Text = None,
    since: Annotated[AwareDatetime | None, Query(description="Made at this time or later.")] = None,
) -> Response:
    """List the tenant's deliveries, newest first."""
    selection = Selection(
        state=state,
        endpoint_id=endpoint_id,
        tenant_id=access.tenant_id,
        event=event,
        since=since,
    )
    with database.read() as connection:
        found = deliveries.listing(
            connection, selection, event_id=event_id, limit=limit, after=after
        )
    return paged(shapes.Delivery, found)


@router.get("/deliveries/{delivery_id}", response_model=shapes.DeliveryWithHistory)
def show_delivery(access: DeliveriesReader, database: OfDatabase, delivery_id: OneId) -> Response:
    """Show one delivery with every attempt."""
    with database.read() as connection:
        found = deliveries.show(connection, delivery_id)
    if found["tenant_id"] != access.tenant_id:
        raise NotFound(f"no delivery {delivery_id!r}", field="id", value=delivery_id)
    history = [shown(shapes.Attempt, attempt) for attempt in found["history"]]
    return answer({**shown(shapes.Delivery, found), "history": history})


@router.get("/manifests", response_model=shapes.ManifestPage)
def list_manifests(
    *,
    access: ManifestsReader,
    database: OfDatabase,
    after: After = None,
    limit: Limit = manifest_views.LIMIT_DEFAULT,
    endpoint_id: Text = None,
    since: Annotated[date | None, Query(alias="from", description="First day, in UTC.")] = None,
    until: Annotated[date | None, Query(alias="to", description="Last day, in UTC.")] = None,
) -> Response:
    """List signed daily manifests by endpoint and day, without their events."""
    with database.read() as connection:
        found = manifest_views.listing(
            connection,
            tenant_id=access.tenant_id,
            endpoint_id=endpoint_id,
            since=since,
            until=until,
            limit=limit,
            after=after,
        )
    return paged(shapes.Manifest, found)


@router.get("/manifests/{endpoint_id}/{day}", response_model=shapes.ManifestWithEvents)
def show_manifest(
    access: ManifestsReader, database: OfDatabase, endpoint_id: OneId, day: date
) -> Response:
    """Show one manifest with the ids and hashes of its events: what proves completeness."""
    found = manifest_views.show(database, endpoint_id, day, tenant_id=access.tenant_id)
    return answer(shown(shapes.ManifestWithEvents, found))


def _event(row: dict[str, Any], access: Access) -> dict[str, Any]:
    masked = None if "codes.read" in access.scopes else _masked(row["body"])
    body = orjson.Fragment(row["body"]) if masked is None else masked
    named = {**row, "event": row["type"], "masked": masked is not None, "body": body}
    return shown(shapes.Event, named)


def _masked(body: bytes) -> dict[str, Any] | None:
    """Return an envelope without what was sold, or None where it holds nothing to hide.

    Codes and serials are worth money to whoever reads them (domain.md 4.2).
    """
    if b'"delivery_data"' not in body:
        return None
    envelope: dict[str, Any] = orjson.loads(body)
    if not envelope["data"].get("delivery_data"):
        return None
    return {**envelope, "data": {**envelope["data"], "delivery_data": None}}
