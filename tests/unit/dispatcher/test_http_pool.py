"""Idle connections: newest first out, bounded in number and time, whatever the order of events."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.http_pool import IdlePool

TOTAL_MAX = 4
PER_KEY_MAX = 2
IDLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Connection:
    """A stand-in that has nothing but an identity and a key."""

    name: int
    key: str = "a"


def pool() -> IdlePool[Connection]:
    """Return an empty pool of four, two of a kind, for ten seconds."""
    return IdlePool(total_max=TOTAL_MAX, per_key_max=PER_KEY_MAX, idle_seconds=IDLE_SECONDS)


def test_the_one_that_fell_idle_last_is_taken_first() -> None:
    """A warm connection is preferred, so that the surplus can age."""
    idle = pool()
    for connection in (Connection(1), Connection(2)):
        assert idle.put(connection, 0.0) is None
    assert [Connection(2), Connection(1), None] == [idle.take("a") for _ in range(3)]


def test_a_connection_serves_its_own_key_only() -> None:
    """Another origin or address finds nothing."""
    idle = pool()
    idle.put(Connection(1), 0.0)
    assert idle.take("b") is None
    assert len(idle) == 1


def test_one_too_many_of_a_key_is_given_back() -> None:
    """The newcomer is closed: the ones at hand are as good."""
    idle = pool()
    surplus = [idle.put(Connection(name), 0.0) for name in (1, 2, 3)]
    assert [None, None, Connection(3)] == surplus


def test_one_too_many_in_all_gives_up_the_oldest() -> None:
    """A busy host does not keep another's forgotten connection alive."""
    idle = pool()
    surplus = [idle.put(Connection(name, key=str(name)), float(name)) for name in range(5)]
    assert [None, None, None, None, Connection(0, key="0")] == surplus
    assert (4, None) == (len(idle), idle.take("0"))


def test_connections_expire_oldest_first() -> None:
    """Exactly those whose ten seconds are over are given up, and the next expiry is known."""
    idle = pool()
    idle.put(Connection(1), 0.0)
    idle.put(Connection(2, key="b"), 5.0)
    assert idle.next_expiry_at == 10.0
    assert idle.take_expired(9.9) == []
    assert idle.take_expired(10.0) == [Connection(1)]
    assert idle.next_expiry_at == 15.0
    assert idle.take_expired(99.0) == [Connection(2, key="b")]
    assert idle.next_expiry_at is None


def test_discarding_what_is_not_held_changes_nothing() -> None:
    """A connection in use may die without the pool minding."""
    idle = pool()
    idle.put(Connection(1), 0.0)
    idle.discard(Connection(2))
    idle.discard(Connection(1))
    assert (0, None) == (len(idle), idle.take("a"))


@given(st.lists(st.tuples(st.sampled_from("ptdx"), st.integers(0, 7), st.sampled_from("abc"))))
def test_it_behaves_like_a_list(steps: list[tuple[str, int, str]]) -> None:
    """Any sequence of put, take, discard and expiry equals the same on a plain list."""
    idle, model = pool(), list[tuple[Connection, float]]()
    for now, (step, name, key) in enumerate(steps):
        connection = Connection(name, key)
        if step == "p" and connection not in [held for held, _ in model]:
            assert _model_put(model, connection, float(now)) == idle.put(connection, float(now))
        elif step == "t":
            held = next((pair for pair in reversed(model) if pair[0].key == key), None)
            assert (held and held[0]) == idle.take(key)
            model = [pair for pair in model if pair is not held]
        elif step == "d":
            idle.discard(connection)
            model = [pair for pair in model if pair[0] != connection]
        elif step == "x":
            expired = [held for held, at in model if at + IDLE_SECONDS <= now]
            assert expired == idle.take_expired(float(now))
            model = [pair for pair in model if pair[0] not in expired]
        assert len(model) == len(idle)


def _model_put(
    model: list[tuple[Connection, float]], connection: Connection, now: float
) -> Connection | None:
    if sum(held.key == connection.key for held, _ in model) >= PER_KEY_MAX:
        return connection
    model.append((connection, now))
    return model.pop(0)[0] if len(model) > TOTAL_MAX else None
