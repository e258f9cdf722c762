"""All defects, by check."""

from __future__ import annotations

from tests.planting import callbacks, goods, money, orders, settling, trade
from tests.planting.defect import Defect

DEFECTS: tuple[Defect, ...] = tuple(
    sorted(
        (
            *orders.DEFECTS,
            *callbacks.DEFECTS,
            *goods.DEFECTS,
            *money.DEFECTS,
            *settling.DEFECTS,
            *trade.DEFECTS,
        ),
        key=lambda defect: (defect.check, defect.name),
    )
)
