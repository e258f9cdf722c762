"""Examples of events: one for every type, complete, and readable in every profile."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from dispatcher.examples import EXAMPLES, TENANT
from dispatcher.profiles import PROFILES, render
from engine.catalogue import CATALOGUE
from engine.events import EventDraft, render_body

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def test_every_type_of_the_catalogue_has_its_example() -> None:
    """No type is missing, and none is made up."""
    assert set(CATALOGUE) == set(EXAMPLES)


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_example_is_sent_in_every_profile(name: str, profile: str) -> None:
    """Each profile makes JSON of it: no example lacks a field that a profile reads."""
    draft = EventDraft(tenant_id=TENANT, type=name, data=EXAMPLES[name])
    assert orjson.loads(render(profile, render_body(draft, AT)))


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_amount_has_its_exact_twin(name: str) -> None:
    """Wherever an example shows minor units, the decimal beside them says the same."""
    draft = EventDraft(tenant_id=TENANT, type=name, data=EXAMPLES[name])
    _check_twins(orjson.loads(render_body(draft, AT)))


def _check_twins(found: object) -> None:
    if isinstance(found, list):
        for each in found:
            _check_twins(each)
    if isinstance(found, dict):
        for key, value in found.items():
            if key.endswith("_minor"):
                assert value == round(found[key.removesuffix("_minor")] * 100)
            _check_twins(value)
