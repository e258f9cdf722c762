"""Cash on delivery on any chain: 5,000 random ones, paid in part, returned, short or too much."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine import chart, difference_postings, postings
from engine.posting_rules import merged
from engine.postings import Entry, Level, Obligation

CHAINS = 5_000
#: In minor units; a cost above the one below it is a negative margin.
COST_MAX = 10**9


@dataclass(frozen=True, slots=True)
class Case:
    """One delivered order: who supplies (first) down to the origin, what it brought, who has it."""

    levels: tuple[Level, ...]
    retail_minor: int
    collector: int
    shortage_minor: int

    @property
    def obligations(self) -> tuple[Obligation, ...]:
        """What neighbours owe each other."""
        return postings.cod_obligations(self.levels, self.retail_minor, self.collector)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What the delivery posts."""
        return postings.cod_delivered(
            self.levels, self.retail_minor, self.collector, shortage_minor=self.shortage_minor
        )


def cases(seed: int) -> Iterator[tuple[random.Random, Case]]:
    """Yield random chains of 1 to 8 levels with any collector, some short or with too much."""
    chance = random.Random(seed)  # noqa: S311  # chains, not secrets
    for _ in range(CHAINS):
        count = chance.randint(1, 8)
        levels = tuple(Level(f"t{index}", chance.randint(0, COST_MAX)) for index in range(count))
        retail = chance.choice([0, chance.randint(0, COST_MAX)])
        shortage = chance.choice([0, 0, chance.randint(-COST_MAX, retail)])
        yield chance, Case(levels, retail, chance.randrange(count), shortage)


def paid(owed: Iterable[Obligation]) -> list[Entry]:
    """Return what paying some obligations posts."""
    entries: list[Entry] = []
    for each in owed:
        entries += postings.remittance_processed(each.payer_id, each.payee_id, each.amount_minor)
    return entries


def total(entries: Iterable[Entry], code: str) -> int:
    """Return what all books together have on one account, debits positive."""
    return sum(amount for (_, own), amount in merged(entries).items() if own == code)


def debts(entries: Iterable[Entry]) -> dict[tuple[str, str], int]:
    """Return what is left on the accounts between tenants."""
    between = (chart.PAYABLE, chart.RECEIVABLE)
    return {key: left for key, left in merged(entries).items() if chart.split(key[1])[0] in between}


def test_margins_and_base_cost_make_the_retail_price() -> None:
    """On every chain the levels earn together what the customer paid above the base cost."""
    for _, case in cases(seed=1):
        earned = -total(case.entries, "earnings")
        assert case.retail_minor == earned + case.levels[0].cost_minor
        assert case.retail_minor - case.shortage_minor == total(case.entries, "cod_cash")


def test_each_level_ends_with_its_margin() -> None:
    """All paid, a wallet holds the level's margin, less the cash and goods it has itself."""
    for _, case in cases(seed=2):
        found = merged([*case.entries, *paid(case.obligations)])
        prices = [level.cost_minor for level in case.levels[1:]] + [case.retail_minor]
        for index, (level, price) in enumerate(zip(case.levels, prices, strict=True)):
            expected = price - level.cost_minor + (level.cost_minor if index == 0 else 0)
            expected -= case.retail_minor if index == case.collector else 0
            assert expected == found.get((level.tenant_id, "wallet"), 0)


def test_paying_all_clears_every_debt() -> None:
    """Nothing is left between tenants, and wallets together hold what they held before."""
    for _, case in cases(seed=3):
        entries = [*case.entries, *paid(case.obligations)]
        assert {} == debts(entries)
        assert 0 == total(entries, "wallet")
        assert all(each.amount_minor > 0 for each in case.obligations)


def test_neighbours_owe_each_other_from_the_cash_outwards() -> None:
    """Each edge has one debt at most, between neighbours, as many hops away as they stand."""
    for _, case in cases(seed=4):
        ids = [level.tenant_id for level in case.levels]
        edges = set()
        for each in case.obligations:
            ends = sorted((ids.index(each.payer_id), ids.index(each.payee_id)))
            assert 1 == ends[1] - ends[0]
            farther = max(abs(end - case.collector) for end in ends)
            assert farther == each.hop
            edges.add(ends[0])
        assert len(edges) == len(case.obligations)


def test_a_return_after_any_payments_clears_everything() -> None:
    """Paid in part, returned, and what was paid given back: every account of every book is zero."""
    for chance, case in cases(seed=5):
        done = [each for each in case.obligations if chance.random() < 0.5]
        turned = [(each.payer_id, each.payee_id) for each in done]
        back = [Obligation(o.payee_id, o.payer_id, o.amount_minor, o.hop) for o in done]
        returned = [*case.entries, *paid(done), *postings.reversal(case.entries, turned)]
        left = debts(returned)
        assert sum(each.amount_minor for each in back) == sum(max(a, 0) for a in left.values())
        assert {} == merged([*returned, *paid(back)])


def test_a_decided_difference_leaves_no_shortage() -> None:
    """Found again, or borne by any level: the collector's open difference is gone, debts clear."""
    for chance, case in cases(seed=6):
        ids = [level.tenant_id for level in case.levels]
        bearer = chance.choice(ids)
        way = difference_postings.way_between(ids, bearer, ids[case.collector])
        recovered = difference_postings.recovered(ids[case.collector], case.shortage_minor)
        borne = difference_postings.borne(way, case.shortage_minor)
        between = difference_postings.obligations(way, case.shortage_minor)
        for decided in (recovered, borne):
            found = merged([*case.entries, *decided])
            assert not [code for _, code in found if code in {"shortage", "overage"}]
        assert {} == debts([*borne, *(paid(between) if case.shortage_minor else ())])
        assert case.shortage_minor == merged(borne).get((bearer, "cash_over_short"), 0)
        assert case.retail_minor == total([*case.entries, *recovered], "cod_cash")
