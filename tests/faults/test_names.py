"""Names that lie, hang and change: no forbidden socket, and every call ends (F36, F38)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from itertools import chain

import pytest

from dispatcher import resolve
from dispatcher.egress import EgressPolicy
from dispatcher.transport import CallbackTransport
from tests.faults.measured import outcome, sockets_opened
from tests.faults.name_server import SERVER_FAILURE, UNKNOWN_NAME, Answer, Zone, name_server
from tests.faults.plugin import Reached
from tests.unit.dispatcher.test_addresses import REFUSED
from tests.wire import OK, answering, receiving_raw

#: 127.0.0.2 plays the receiver's public address; all else of this machine is what is attacked.
ONE_ADDRESS = EgressPolicy.from_settings(["127.0.0.2/32"], allow_http=True)
CLOSED = EgressPolicy(allow_http=True)
PUBLIC, OURS, FORBIDDEN = "93.184.216.34", "127.0.0.2", "127.0.0.1"


def always(answer: Answer) -> Callable[[int], Answer]:
    """Answer the same every time."""
    return lambda _: answer


def flipping(times: int) -> Answer:
    """Answer with the receiver first, with this machine next, and so on."""
    return Answer([FORBIDDEN if times % 2 else OURS])


#: What a name server does, and how a call that asks it may end.
NAMES: dict[str, tuple[Callable[[int], Answer], set[str]]] = {
    "unknown": (always(Answer(code=UNKNOWN_NAME)), {"dns"}),
    "failing": (always(Answer(code=SERVER_FAILURE)), {"dns"}),
    "empty": (always(Answer()), {"dns"}),
    "silent": (always(Answer(silent=True)), {"dns"}),
    "thousand": (always(Answer([*[OURS] * 999, FORBIDDEN])), {"blocked_address"}),
    "alias": (always(Answer(alias_of_itself=True)), {"dns"}),
    "flip": (flipping, {"200", "blocked_address"}),
    "mixed": (always(Answer([OURS, "fd00::1"])), {"blocked_address"}),
    "large": (always(Answer([OURS] * 5000, endless=True)), {"dns"}),
    "good": (always(Answer([OURS])), {"200"}),
}


@pytest.mark.fault("F36")
@pytest.mark.parametrize("kind", NAMES)
def test_whatever_a_name_server_does_no_forbidden_socket_is_opened(
    kind: str, monkeypatch: pytest.MonkeyPatch, reached: Reached
) -> None:
    """Each call ends in time, by its own class, and connects to the receiver or to nobody."""
    zone = Zone({name: answer for name, (answer, _) in NAMES.items()})
    times, seconds = reached.times(10, 200), 5.0 if reached.full else 1.0
    monkeypatch.setattr(resolve, "LOOKUP_SECONDS", seconds)

    async def story() -> list[tuple[str, float]]:
        found = []
        async with receiving_raw(answering(OK), host=OURS) as receiver:
            url = f"http://{kind}-%s.hostile.example:{receiver.port}/"
            transport = CallbackTransport(ONE_ADDRESS)
            for number in range(times):
                # One name again and again; of silent ones many at once, for each takes its time.
                at_once = 32 if kind == "silent" else 1
                names = [number * at_once + n for n in range(at_once)] if at_once > 1 else [0]
                found += await asyncio.gather(*[outcome(transport, url % name) for name in names])
                transport._resolver._answers.clear()  # thirty seconds later
                if len(found) >= times:
                    break
            await transport.aclose()
        return found

    with name_server(zone, patient=reached.full), sockets_opened() as sockets:
        found = asyncio.run(story())
    ends = Counter(ended for ended, _ in found)
    assert NAMES[kind][1] == set(ends)
    assert {host for host, _ in sockets} <= {OURS}
    slowest = max(took for _, took in found)
    assert slowest <= seconds + 1.0
    counted = ", ".join(f"{ended} {count}" for ended, count in sorted(ends.items()))
    reached.says("F36", f"{kind}: {counted}, {slowest:.2f} s at most, forbidden sockets 0")


@pytest.mark.fault("F38")
def test_a_name_that_leads_to_a_forbidden_address_is_never_called(reached: Reached) -> None:
    """Each address as A (mapped: as AAAA) and beside a public one: blocked, and no socket."""
    plain = [ip_address(text) for text in REFUSED]
    mapped = [f"::ffff:{each}" for each in plain if each.version == 4]
    alone = {f"n{number}": text for number, text in enumerate(chain(map(str, plain), mapped))}
    beside = {f"b{number}": text for number, text in enumerate(map(str, plain))}
    zone = Zone(
        {name: always(Answer([text])) for name, text in alone.items()}
        | {name: always(Answer([PUBLIC, text])) for name, text in beside.items()}
    )

    async def story() -> dict[str, str]:
        transport = CallbackTransport(CLOSED)
        names = [*alone, *beside]
        calls = [outcome(transport, f"http://{name}.hostile.example/") for name in names]
        ended = [end for end, _ in await asyncio.gather(*calls)]
        await transport.aclose()
        return dict(zip(names, ended, strict=True))

    with name_server(zone, patient=True), sockets_opened() as sockets:
        ends = asyncio.run(story())
    assert set() == sockets
    called = {name for name, ended in ends.items() if ended != "blocked_address"}
    assert {} == {name: (alone | beside)[name] for name in called}
    reached.says(
        "F38", f"{len(ends)} names leading to {len(REFUSED)} addresses: all blocked, sockets 0"
    )


@pytest.mark.fault("F36")
def test_names_that_hang_hold_up_no_other(
    monkeypatch: pytest.MonkeyPatch, reached: Reached
) -> None:
    """Servers that never answered once get a lane of their own: all others are found at once."""
    monkeypatch.setattr(resolve, "SLOW_SECONDS", 0.5)
    zone = Zone({"silent": always(Answer(silent=True)), "good": always(Answer([OURS]))})
    count = reached.times(48, 256)

    async def story() -> tuple[str, float]:
        async with receiving_raw(answering(OK), host=OURS) as receiver:
            url = f"http://%s.hostile.example:{receiver.port}/"
            transport = CallbackTransport(ONE_ADDRESS)
            silent = [url % f"silent-{number}" for number in range(count)]
            await asyncio.gather(*[outcome(transport, each) for each in silent])
            left = transport._resolver._running.values()  # nobody waits for these any more
            await asyncio.gather(*left, return_exceptions=True)
            stuck = [asyncio.create_task(outcome(transport, each)) for each in silent]
            await asyncio.sleep(0.2)
            found = await outcome(transport, url % "good")
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
            await transport.aclose()
            return found

    with name_server(zone, patient=False):
        ended, took = asyncio.run(story())
    assert ("200", True) == (ended, took < 0.7)
    reached.says("F36", f"a good name beside {count} that hang: found in {took:.2f} s")
