"""``tillbell upstreams``: a platform added, an order linked and looked at."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.command_line import CommandLine
from tests.platforms import platform, says

ORDER = {
    "origin_order_number": "ORD-1",
    "customer": {"name": "Asha"},
    "shipping_address": {"city": "Pune"},
    "items": [{"sku": "P", "quantity": 1, "unit_price": 155}],
    "payment": {"method": "cod"},
}


@pytest.fixture
def tenant_id(cli: CommandLine) -> str:
    """Return a tenant that sells one product."""
    tenant = str(cli.json("tenants", "create", "--name", "Shop")["id"])
    product = ("--sku", "P", "--name", "Product", "--base-cost", "100", "--stock", "5")
    cli.json("products", "create", "--tenant", tenant, *product)
    return tenant


def test_a_platform_is_added_asked_and_shown(
    cli: CommandLine, tenant_id: str, tmp_path: Path
) -> None:
    """Secrets come from files and are shown nowhere; an order moves as the platform says."""
    token = tmp_path / "token"
    token.write_text("canary-token\n")
    order = orjson.dumps(ORDER).decode()
    order_id = cli.json("orders", "create", "--tenant", tenant_id, "--data", order)["id"]
    answer = {"order": {"id": "u-1", "chain_status": "processing"}}
    with platform(says(answer)) as served:
        named = ("--name", "Above", "--kind", "chain_order", "--url", served.url)
        row = cli.json(
            "upstreams", "create", "--tenant", tenant_id, *named, "--token-file", str(token)
        )
        cli.json("upstreams", "link", row["id"], order_id, "u-1")
        assert {"asked": 1} == cli.json("upstreams", "poll")
        assert "Bearer canary-token" == served.asked[0].headers["authorization"]
    assert "processing" == cli.json("orders", "show", order_id)["chain_status"]
    assert "processing" == cli.json("upstreams", "order", order_id)["seen_status"]
    assert "paused" == cli.json("upstreams", "pause", row["id"])["state"]
    assert "active" == cli.json("upstreams", "resume", row["id"])["state"]
    shown = [cli("upstreams", "list"), cli("upstreams", "show", row["id"])]
    shown.append(cli("upstreams", "order", order_id))
    assert [0, 0, 0] == [each.code for each in shown]
    assert "canary" not in "".join(each.out for each in shown)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (("--kind", "soap"), "kind"),
        (("--url", "ftp://x"), "url"),
        (("--path", "/orders"), "reference"),
        (("--token-file", "/nonexistent"), "cannot be read"),
        (("--callback-signature", "standard"), "callback_secret"),
    ],
)
def test_a_wrong_platform_is_one_line(
    cli: CommandLine, tenant_id: str, wrong: tuple[str, str], word: str
) -> None:
    """Each names its field, and nothing is added."""
    good = {"--name": "A", "--kind": "chain_order", "--url": "http://127.0.0.1:9"}
    good[wrong[0]] = wrong[1]
    arguments = [part for pair in good.items() for part in pair]
    answer = cli("upstreams", "create", "--tenant", tenant_id, *arguments)
    assert answer.code in {1, 2}
    assert 1 == len(answer.err.strip().splitlines())
    assert word in answer.err.lower()
    assert [] == cli.json("upstreams", "list")["data"]
