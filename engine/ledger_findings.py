"""What is said of an account whose books do not agree: findings of L2."""

from __future__ import annotations

from typing import Any

from engine.ledger_chain import Link

Finding = dict[str, Any]
#: A row of ``ledger_accounts``, without what a walk does not need.
Account = Any


def balance_of(account: Account) -> int:
    """Return what stands on an account, in minor units."""
    return int(account.posted_debits - account.posted_credits)


def compare(account: Account, link: Link) -> list[Finding]:
    """Compare what an account says with what its chain came to."""
    pairs: dict[str, tuple[Any, Any]] = {
        "version": (link.version, account.version),
        "balance": (link.balance, balance_of(account)),
        "digest": (link.digest.hex(), account.digest.hex()),
    }
    if link.debits is not None and link.credits is not None:
        pairs["posted_debits"] = link.debits, account.posted_debits
        pairs["posted_credits"] = link.credits, account.posted_credits
        del pairs["balance"]
    return [
        of_account(account, f"account {name_of(account)}", field=name, expected=one, actual=other)
        for name, (one, other) in pairs.items()
        if one != other
    ]


def missing(account: Account, version: int) -> Finding:
    """Return the finding of an entry that should be there."""
    return of_account(
        account,
        f"version {version} of {name_of(account)}",
        field="entry",
        expected="an entry",
        actual="missing",
        account_version=version,
    )


def of_account(account: Account, what: str, *, field: str, **facts: Any) -> Finding:
    """Return a finding on ``field`` of something of an account."""
    return {
        "check": "L2",
        "subject": f"{what}: {field}",
        "field": field,
        "account": name_of(account),
        "account_id": account.id,
        **facts,
    }


def name_of(account: Account) -> str:
    """Return what people call an account."""
    return f"{account.book}/{account.code}/{account.currency}"
