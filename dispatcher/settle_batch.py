"""What drains hand to the settle writer, and the group of it that one transaction writes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from dispatcher.health import Failing, Health, Notice
from dispatcher.settlement import Deferral, Settlement

#: Where a batch for each mailbox has what belongs to none.
NO_MAILBOX = ""


class Parting(NamedTuple):
    """What a drain leaves behind, besides what it settled.

    ``health`` and ``failing`` are None where nothing is to be written; ``told`` is the notice the
    owner had at the beginning. Of what was not ``tried`` the crashes still count.
    """

    blocked_until: datetime | None = None
    health: Health | None = None
    failing: Failing | None = None
    told: Notice = Notice.NONE
    tried: bool = True

    @property
    def plain(self) -> bool:
        """Whether the mailbox just goes back."""
        return self.tried and self[:3] == (None, None, None)


@dataclass(slots=True)
class Release:
    """The end of one drain: its mailbox is given back after everything it settled."""

    endpoint_id: str
    lease_token: int
    parting: Parting
    done: asyncio.Future[datetime | None] | None


@dataclass(slots=True)
class Kept:
    """A rendered body to keep."""

    row: dict[str, Any]


Item = Settlement | Deferral | Release | Kept


@dataclass(slots=True)
class Batch:
    """Items that are written together, bodies first and releases last."""

    settlements: list[Settlement] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    deferrals: list[Deferral] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many items it holds."""
        items = (self.bodies, self.settlements, self.deferrals, self.releases)
        return sum(len(each) for each in items)

    def split(self) -> list[Batch]:
        """Return one batch for each item, in the order in which a batch is written."""
        return [
            *(Batch(bodies=[each]) for each in self.bodies),
            *(Batch(settlements=[each]) for each in self.settlements),
            *(Batch(deferrals=[each]) for each in self.deferrals),
            *(Batch(releases=[each]) for each in self.releases),
        ]

    def add(self, item: Item) -> None:
        """Put an item behind the others of its kind."""
        if isinstance(item, Settlement):
            self.settlements.append(item)
        elif isinstance(item, Release):
            self.releases.append(item)
        elif isinstance(item, Deferral):
            self.deferrals.append(item)
        else:
            self.bodies.append(item.row)

    def by_mailbox(self) -> Mapping[str, Batch]:
        """Return one batch for each mailbox, and one for the bodies, which belong to none."""
        parts: dict[str, Batch] = defaultdict(Batch)
        for body in self.bodies:
            parts[NO_MAILBOX].bodies.append(body)
        for items in (self.settlements, self.deferrals, self.releases):
            for item in items:
                parts[item.endpoint_id].add(item)
        return parts
