"""A ledger in a few dictionaries: what the real one must agree with, step after step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.money import AMOUNT_MINOR_MAX
from engine.postings import WALLET, Entry

Key = tuple[str, str]


class RefusedError(Exception):
    """The model would not do it; the argument is the code the engine has to give."""


@dataclass(slots=True)
class Account:
    """The four counters of an account, and whether it takes postings."""

    debits: int = 0
    credits: int = 0
    pending_debits: int = 0
    pending_credits: int = 0
    frozen: bool = False

    @property
    def balance(self) -> int:
        """Debits less credits."""
        return self.debits - self.credits

    def add(self, amount_minor: int) -> None:
        """Count one signed amount."""
        self.debits += max(amount_minor, 0)
        self.credits += max(-amount_minor, 0)


@dataclass(slots=True)
class Held:
    """Money set aside, as long as it is open."""

    payer_id: str
    amount_minor: int
    payee_id: str | None = None
    discretionary: bool = True
    open: bool = True
    opened_by: str = ""


@dataclass(slots=True)
class Ledger:
    """Accounts, holds and transactions; a call does everything, or raises RefusedError."""

    accounts: dict[Key, Account] = field(default_factory=dict)
    holds: dict[str, Held] = field(default_factory=dict)
    transactions: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    reversed: set[str] = field(default_factory=set)

    def check(
        self,
        entries: Iterable[Entry],
        opens: Iterable[Held] = (),
        closes: Iterable[Held] = (),
        *,
        paid_by: str | None = None,
        spent_by: str | None = None,
    ) -> None:
        """Raise RefusedError with the code of what stands in the way: frozen, overflow, funds.

        Who pays a debt needs what is not set aside by choice; who spends, what is not set aside.
        """
        opens, closes = list(opens), list(closes)
        after = self._after(list(entries), opens, closes)
        self._check_accounts(after)
        spenders = {hold.payer_id for hold in opens if hold.discretionary}
        for tenant_id in spenders | ({spent_by} if spent_by else set()):
            wallet = after[tenant_id, WALLET]
            _require_funds(wallet.balance - wallet.pending_credits)
        if paid_by is not None:
            kept = [hold for hold in self.holds.values() if hold.open and hold not in closes]
            mine = [hold for hold in kept if hold.discretionary and hold.payer_id == paid_by]
            _require_funds(after[paid_by, WALLET].balance - sum(h.amount_minor for h in mine))

    def _check_accounts(self, after: dict[Key, Account]) -> None:
        if any(self.accounts[key].frozen for key in after if key in self.accounts):
            raise RefusedError("ACCOUNT_FROZEN")
        for account in after.values():
            counters = (account.debits, account.credits)
            pending = (account.pending_debits, account.pending_credits)
            if max(*counters, *pending) > AMOUNT_MINOR_MAX:
                raise RefusedError("INVALID_AMOUNT")

    def post(
        self,
        transaction_id: str,
        entries: Iterable[Entry],
        opens: dict[str, Held] | None = None,
        closes: Iterable[Held] = (),
    ) -> None:
        """Do what was checked."""
        posted = tuple(entries)
        self.accounts |= self._after(list(posted), list((opens or {}).values()), list(closes))
        self.transactions[transaction_id] = posted
        for hold in closes:
            hold.open = False
        for key, hold in (opens or {}).items():
            hold.opened_by = transaction_id
            self.holds[key] = hold

    def opened_by(self, transaction_id: str) -> list[Held]:
        """Return what a transaction still sets aside."""
        return [h for h in self.holds.values() if h.open and h.opened_by == transaction_id]

    def _after(
        self, entries: list[Entry], opens: list[Held], closes: list[Held]
    ) -> dict[Key, Account]:
        """Return the accounts that are touched, as they would be."""
        after: dict[Key, Account] = {}
        sums: dict[Key, int] = {}
        for entry in entries:
            key = (entry.book, entry.code)
            sums[key] = sums.get(key, 0) + entry.amount_minor
        for key, amount_minor in sums.items():
            if amount_minor:
                self._copy(after, key).add(amount_minor)
        for hold, sign in [(h, 1) for h in opens] + [(h, -1) for h in closes]:
            self._copy(after, (hold.payer_id, WALLET)).pending_credits += sign * hold.amount_minor
            if hold.payee_id is not None:
                payee = self._copy(after, (hold.payee_id, WALLET))
                payee.pending_debits += sign * hold.amount_minor
        return after

    def _copy(self, after: dict[Key, Account], key: Key) -> Account:
        if key not in after:
            known = self.accounts.get(key, Account())
            after[key] = Account(
                known.debits,
                known.credits,
                known.pending_debits,
                known.pending_credits,
                known.frozen,
            )
        return after[key]


def _require_funds(left_minor: int) -> None:
    if left_minor < 0:
        raise RefusedError("INSUFFICIENT_BALANCE")
