"""Wallets whose level is not what their balance says."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, String, case, cast, func, or_, select, true, union

from engine import wallet_levels
from engine import wallets as wallet_service
from engine.ids import first_id
from engine.ledger_tables import ledger_accounts, wallets
from engine.postings import WALLET
from engine.unit_of_work import UnitOfWork
from engine.wallet_tables import wallet_transactions
from reconciler.check import Check, Finding, Found, Policy, Scope, Severity

FINDINGS_MAX = 10_000


def _find_levels(connection: Connection, scope: Scope) -> Found:
    """Compare levels with balances: of wallets that moved since the last look; in a sweep of all.

    The server leaves out those that agree; the rule of ``wallet_levels`` judges the rest.
    """
    looked_at = _touched(scope)
    scanned = connection.execute(
        select(func.count()).select_from(wallets).where(looked_at)
    ).scalar_one()
    watched = (
        select(wallets, ledger_accounts)
        .join(
            ledger_accounts,
            (ledger_accounts.c.book == cast(wallets.c.tenant_id, String))
            & (ledger_accounts.c.code == WALLET)
            & (ledger_accounts.c.currency == wallets.c.currency),
        )
        .where(looked_at, _off())
        .limit(FINDINGS_MAX)
    )
    findings = []
    for row in connection.execute(watched).mappings():
        facts = dict(row)
        level = wallet_levels.level_of(facts, wallet_levels.figures_of(facts, facts))
        if level != row["low_state"]:
            subject = f"wallet {row['tenant_id']}"
            findings.append(Finding(subject, level, row["low_state"], row["tenant_id"]))
    return Found(scanned, findings)


def _touched(scope: Scope) -> ColumnElement[bool]:
    """Return what holds for wallets that have a line or a limit since the last look."""
    if scope.since is None:
        return true()
    line, limits = wallet_transactions.c, wallets.alias().c
    # Identifiers are ordered by time: the newest lines are the end of the primary key.
    moved = select(line.tenant_id).where(line.id >= first_id(scope.since))
    # Each part has an index of its own: an OR of them would read every wallet.
    changed = select(limits.tenant_id).where(limits.updated_at >= scope.since)
    again = select(limits.tenant_id).where(limits.tenant_id.in_(scope.again))
    return wallets.c.tenant_id.in_(union(moved, changed, again))


def _off() -> ColumnElement[bool]:
    """Return what holds for wallets whose level may not be what their figures say."""
    account, wallet = ledger_accounts.c, wallets.c
    credit = case((wallet.low_watch == wallet_levels.SPENDABLE, wallet.credit_limit_minor), else_=0)
    figure = account.posted_debits - account.posted_credits - account.pending_credits + credit
    threshold = wallet.low_threshold_minor
    above = threshold + case((threshold > 0, (threshold + 9) // 10), else_=1)
    rearmed = figure >= func.coalesce(wallet.rearm_level_minor, above)
    fell = (wallet.low_state != wallet_levels.LOW) & (figure < threshold)
    rose = (wallet.low_state != wallet_levels.OK) & or_(threshold.is_(None), rearmed)
    return or_(fell, rose)


def _judge(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Evaluate each wallet again; the change raises its event."""
    return [each for each in findings if wallet_service.reevaluate(work, each.key)]


WALLETS_JUDGED = Check(
    id="K12",
    title="Wallets whose low state is not their level's",
    compares="the level of each watched wallet with what its balance says",
    remedy="the wallet is judged again: an episode opens or closes",
    severity=Severity.ERROR,
    policy=Policy.AUTO,
    every_seconds=600,
    find=_find_levels,
    heal=_judge,
    incremental=True,
)
