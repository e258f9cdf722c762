"""Stock items: serials sealed at rest, each taken from stock exactly once (document 002).

A serial stands in no event, log or list; ``serials_of`` opens those of one relationship for whoever
may see them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, text, update

from engine import products, stock
from engine.errors import InvalidInput, NotFound, StockUnavailable
from engine.ids import is_id, new_id
from engine.inputs import check_choice, check_text
from engine.private_text import digest
from engine.sealing import KeyRing, bound_to
from engine.stock_transfer_tables import AVAILABLE as IN_STOCK
from engine.stock_transfer_tables import stock_items
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing

Row = dict[str, Any]
AVAILABLE, ALLOCATED, DELIVERED, REVOKED = "available", "allocated", "delivered", "revoked"
STATUSES = (AVAILABLE, ALLOCATED, DELIVERED, REVOKED)
SERIAL_LENGTH_MAX = 2000
SERIALS_MAX = 10_000
BATCH_ROWS = 1000
SEALED_AS = "serial"
_TABLE = stock_items.c
_SHOWN = [column for column in _TABLE if column.name not in {"digest", "key_id", "ciphertext"}]


def add(
    work: UnitOfWork,
    keyring: KeyRing,
    product_id: str,
    serials: Sequence[object],
    *,
    tenant_id: str | None = None,
) -> dict[str, int]:
    """Put serials into a product's stock; return how many were ``added`` and how many ``known``.

    One that the product ever had is not taken again. A tracked product's stock grows with them.
    Raises NotFound, or InvalidInput naming the place, without repeating the serial.
    """
    product = products.lock(work, product_id, tenant_id=tenant_id)
    if not 1 <= len(serials) <= SERIALS_MAX:
        raise InvalidInput(f"1 to {SERIALS_MAX} serials at a time", field="serials")
    texts = [
        check_text(each, field=f"serials[{place}]", length_max=SERIAL_LENGTH_MAX)
        for place, each in enumerate(serials)
    ]
    added = 0
    for batch in _batches(list(dict.fromkeys(texts))):
        rows = [_row(work, keyring, product, text) for text in batch]
        keys = ["product_id", "digest"]
        added += len(insert_missing(work.connection, stock_items, rows, keys))
    if added:
        stock.receive(work, product, added)
    return {"added": added, "known": len(texts) - added}


def take(
    work: UnitOfWork,
    relationship: Mapping[str, Any],
    product_id: str,
    quantity: int,
    *,
    reference: tuple[str, str],
    values: Mapping[str, Any],
) -> list[str]:
    """Take the oldest serials for a reseller, set ``values`` on each and return their ids.

    A tracked product's stock falls with them. Raises StockUnavailable, and nothing was taken.
    """
    # The product's lock makes takers wait for each other: a serial that one gives back by being
    # refused is there for the next.
    product = products.lock(work, product_id)
    query = select(_TABLE.id).where(_TABLE.product_id == product["id"], text(IN_STOCK))
    ids = list(work.connection.execute(query.order_by(_TABLE.id).limit(quantity)).scalars())
    if len(ids) < quantity:
        raise StockUnavailable(
            f"fewer than {quantity} serials of product {product_id} are in stock",
            product_id=product_id,
            quantity=quantity,
        )
    taken = {"relationship_id": relationship["id"], "allocated_at": work.now, **values}
    for batch in _batches(ids):
        moved = work.connection.execute(
            update(stock_items)
            .where(_TABLE.id.in_(batch), _TABLE.status == AVAILABLE)
            .values(taken)
        )
        assert moved.rowcount == len(batch), "a serial was taken without the product's lock"
    stock.sell(work, product, quantity, reference)
    return ids


def get(
    connection: Connection,
    relationship: Mapping[str, Any],
    item_id: str,
    *,
    locked: bool = False,
) -> Row:
    """Return one item of a relationship without its serial, or raise NotFound."""
    row = None
    if is_id(item_id):
        query = select(*_SHOWN).where(
            _TABLE.id == item_id.lower(), _TABLE.relationship_id == relationship["id"]
        )
        query = query.with_for_update() if locked else query
        row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"no stock item {item_id!r}", field="item_id", value=item_id)
    return dict(row)


def listing(
    connection: Connection,
    relationship: Mapping[str, Any],
    *,
    transfer_id: str | None = None,
    fulfillment_id: str | None = None,
    status: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[Row]:
    """Return a reseller's items without their serials, in the order they came into stock."""
    query = select(*_SHOWN).where(_TABLE.relationship_id == relationship["id"])
    if transfer_id is not None:
        query = query.where(_TABLE.transfer_id == transfer_id)
    if fulfillment_id is not None:
        query = query.where(_TABLE.fulfillment_id == fulfillment_id)
    if status is not None:
        query = query.where(_TABLE.status == check_choice(status, STATUSES, field="status"))
    rows = connection.execute(query.order_by(_TABLE.id).limit(limit).offset(offset)).mappings()
    return [dict(row) for row in rows]


def serials_of(
    connection: Connection,
    keyring: KeyRing,
    relationship: Mapping[str, Any],
    item_ids: Collection[str],
) -> dict[str, str]:
    """Return the serials of a relationship's items by id: for the eyes of who bought them.

    Another relationship's are left out. Raises SecretUnreadable.
    """
    query = select(stock_items).where(
        _TABLE.id.in_(item_ids), _TABLE.relationship_id == relationship["id"]
    )
    return {
        row.id: keyring.open(
            row.key_id,
            row.ciphertext,
            bound_to=bound_to(row.tenant_id, row.id, SEALED_AS),
        ).decode()
        for row in connection.execute(query.order_by(_TABLE.id))
    }


def counts(connection: Connection, product_id: str) -> dict[str, int]:
    """Return how many serials of a product are in each status."""
    query = select(_TABLE.status, func.count()).where(_TABLE.product_id == product_id)
    found = {row[0]: int(row[1]) for row in connection.execute(query.group_by(_TABLE.status))}
    return {status: found.get(status, 0) for status in STATUSES}


def _row(work: UnitOfWork, keyring: KeyRing, product: Mapping[str, Any], serial: str) -> Row:
    item_id = new_id()
    bound = bound_to(product["tenant_id"], item_id, SEALED_AS)
    key_id, ciphertext = keyring.seal(serial.encode(), bound_to=bound)
    return {
        "id": item_id,
        "tenant_id": product["tenant_id"],
        "product_id": product["id"],
        "digest": digest(product["id"], serial),
        "key_id": key_id,
        "ciphertext": ciphertext,
        "status": AVAILABLE,
        "created_at": work.now,
    }


def _batches(values: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), BATCH_ROWS):
        yield values[start : start + BATCH_ROWS]
