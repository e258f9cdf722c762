"""``tillbell listen --forward``: callbacks reach an application of this machine byte for byte."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from dispatcher.http_types import Request
from dispatcher.signing import new_secret
from engine.errors import InvalidInput
from tests.processes import free_port, running
from tests.receivers import Receiver as Application
from tests.receivers import receiving
from tests.unit.worker.test_receiver import BODY, signed
from tests.wire import post, transport_to
from worker.cli.entry import run
from worker.forwarding import Forwarder
from worker.receiver import Callback, Receiver, Secrets
from worker.receiver_connection import Forwarded, Incoming, Reply, Tunnel

Talk = Callable[[str], Awaitable[None]]


def tunnel(onward: Tunnel, talk: Talk, secrets: Secrets | None = None) -> list[Callback]:
    """Listen with a tunnel while ``talk`` is given its URL; return the callbacks that came."""
    taken: list[Callback] = []
    receiver = Receiver(taken.append, secrets=secrets or Secrets(), tunnel=onward)

    async def story() -> None:
        server = await receiver.start(0)
        port = server.sockets[0].getsockname()[1]
        await asyncio.wait_for(talk(f"http://127.0.0.1:{port}/hook?x=1"), 20)
        server.close()
        await receiver.close()

    asyncio.run(story())
    return taken


def test_the_application_gets_headers_and_bytes_and_its_answer_goes_back() -> None:
    """What was signed still verifies behind the tunnel; status, headers and body come back."""
    secret = new_secret()
    headers = {**signed(secret), "X-Own": "kept", "content-type": "application/json"}
    app = Application(statuses=(503,), headers={"retry-after": "7", "x-app": "mine"})

    async def talk(url: str) -> None:
        async with transport_to() as transport:
            request = Request("POST", url, headers=headers, content=BODY)
            response = await transport.handle_async_request(request)
            assert (503, "7", "mine") == (
                response.status_code,
                response.headers["retry-after"],
                response.headers["x-app"],
            )
            assert b'{"success":true}' == response.content

    with receiving(app) as served:
        (callback,) = tunnel(Forwarder(served.url), talk, Secrets([secret]))
    (seen,) = served.callbacks
    assert (BODY, "/hook") == (seen.body, seen.path)
    assert {name.lower(): value for name, value in headers.items()}.items() <= seen.headers.items()
    assert served.url == f"http://{seen.headers['host']}/hook"
    assert Secrets([secret]).verify(seen.body, dict(seen.headers)) is True
    assert (True, 503) == (callback.verified, callback.status)
    assert callback.forwarded is not None
    assert (503, None) == (callback.forwarded.reply.status, callback.forwarded.error)


def test_an_application_that_is_not_there_is_a_bad_gateway() -> None:
    """The sender hears 502 with the reason and tries again later; the callback is shown."""

    async def talk(url: str) -> None:
        async with transport_to() as transport:
            response = await post(transport, url, BODY)
            assert 502 == response.status_code
            assert response.content.startswith(b"tillbell listen: connect: ")

    (callback,) = tunnel(Forwarder(f"http://127.0.0.1:{free_port()}/"), talk)
    assert (502, False) == (callback.status, callback.accepted)
    assert callback.forwarded is not None
    assert "connect: the host could not be connected to" == callback.forwarded.error


def test_an_application_that_never_answers_is_a_bad_gateway() -> None:
    """The tunnel waits as long as its deadline and no longer."""

    async def talk(url: str) -> None:
        async with transport_to() as transport:
            response = await post(transport, url, BODY)
            assert (502, True) == (response.status_code, b": timeout: " in response.content)

    with receiving(Application(gate=threading.Event())) as served:
        tunnel(Forwarder(served.url, deadline_seconds=0.2), talk)


class Watched(Forwarder):
    """A forwarder that says when it has begun."""

    began = asyncio.Event()

    async def forward(self, incoming: Incoming) -> Forwarded:
        """Say so, and forward."""
        self.began.set()
        return await super().forward(incoming)


def test_ending_the_tunnel_ends_what_is_on_its_way() -> None:
    """A listener that stops does not wait for an application that hangs."""
    taken: list[Callback] = []

    async def story(url: str) -> None:
        watched = Watched(url)
        receiver = Receiver(taken.append, tunnel=watched)
        server = await receiver.start(0)
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        await watched.began.wait()
        server.close()
        await asyncio.wait_for(receiver.close(), 5)
        writer.close()

    with receiving(Application(gate=threading.Event())) as served:
        asyncio.run(story(served.url))
    assert [502] == [callback.status for callback in taken]


@dataclass
class Backwards:
    """A tunnel whose application answers the second of two requests first."""

    second_done: asyncio.Event = field(default_factory=asyncio.Event)

    async def forward(self, incoming: Incoming) -> Forwarded:
        """Answer with the body, after the other request where it is the first."""
        if incoming.body == b"1":
            await self.second_done.wait()
        self.second_done.set()
        return Forwarded(Reply(200, (), incoming.body), None, 0)

    async def aclose(self) -> None:
        """Have nothing to end."""


def test_answers_keep_the_order_of_the_requests() -> None:
    """Two requests at once on one connection are answered in turn, whichever is ready first."""

    async def talk(url: str) -> None:
        place = url.split("/")[2].split(":")
        reader, writer = await asyncio.open_connection(place[0], int(place[1]))
        for body in (b"1", b"2"):
            writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n" + body)
        told = await reader.readexactly(2 * len(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1"))
        assert [b"1", b"2"] == [told[len(told) // 2 - 1 :][:1], told[-1:]]
        writer.close()

    tunnel(Backwards(), talk)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://example.com/hook", "not_local"),
        ("http://93.184.215.14/hook", "not_local"),
        ("http://10.0.0.5:3000/hook", "blocked_address"),
        ("http://169.254.169.254/latest", "blocked_address"),
        ("http://app:3000/hook", "not_local"),
        ("ftp://localhost/hook", "scheme"),
        ("localhost:3000", "scheme"),
        ("http://user:key@localhost/", "user_info"),
    ],
)
def test_only_this_machine_is_forwarded_to(
    url: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another host is refused before anything is listened on, and the field is named."""
    assert 1 == run(["listen", "--port", "0", "--forward", url, "--json"])
    refusal = orjson.loads(capsys.readouterr().err)
    assert ("VALIDATION_ERROR", "forward", reason) == (
        refusal["code"],
        refusal["details"]["field"],
        refusal["details"]["reason"],
    )


@pytest.mark.parametrize("url", ["http://10.0.0.5:3000/", "http://app:3000/hook"])
def test_a_network_is_opened_by_name(url: str) -> None:
    """A container's network may be named; every call stays bound to it."""
    assert Forwarder(url, ["10.0.0.0/8"])._target.holes_only
    with pytest.raises(InvalidInput):
        Forwarder("http://192.168.0.1/", ["10.0.0.0/8"])
    with pytest.raises(InvalidInput) as refusal:
        Forwarder(url, ["10.0.0.0/99"])
    assert "egress_allow" == refusal.value.details["field"]


@pytest.mark.parametrize("option", [("--respond", "500"), ("--delay", "1")])
def test_a_tunnel_answers_nothing_of_its_own(
    option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers that were told and answers of the application exclude each other."""
    assert 2 == run(["listen", "--forward", "http://localhost:1/", *option])
    assert "the application answers" in capsys.readouterr().err


def call(url: str) -> int:
    """Send one callback and return the status of its answer."""

    async def story() -> int:
        async with transport_to() as transport:
            return (await post(transport, url, BODY)).status_code

    return asyncio.run(story())


def test_the_command_prints_the_callback_and_the_answer() -> None:
    """Both are on the line of the callback, as JSON and for people."""
    with receiving(Application(statuses=(201,))) as served:
        command = [
            "listen",
            "--port",
            "0",
            "--forward",
            served.url.replace("127.0.0.1", "localhost"),
        ]
        with running([*command, "--json"], {}) as listen:
            url = listen.said("Listening on").split()[2]
            assert 201 == call(url)
            line = orjson.loads(listen.said("webhook.test"))
            assert 0 == listen.stop()
        with running([*command, "--body"], {}) as listen:
            assert 201 == call(listen.said("handing them on to").split()[2])
            assert "  → 201 in " in listen.said("→")
            assert '{"success":true}' in listen.said("success")
            assert 0 == listen.stop()
    forwarded: dict[str, Any] = line["forwarded"]
    assert (201, None, '{"success":true}') == (
        forwarded["status"],
        forwarded["error"],
        forwarded["body"],
    )
    assert (201, BODY.decode()) == (line["status"], line["body"])
