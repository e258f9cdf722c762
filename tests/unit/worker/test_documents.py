"""JSON that is typed, or read from a file or standard input."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from engine.errors import InvalidInput
from worker.cli.documents import read_object


def test_an_object_is_read_from_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typed, in a file, or on standard input: the same object."""
    file = tmp_path / "data.json"
    file.write_bytes(b'{"a": 1}')
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}')))
    found = [read_object(given, field="data") for given in ('{"a": 1}', f"@{file}", "@-")]
    assert [{"a": 1}] * 3 == found


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("{", "data is not JSON"),
        ("[1]", "data must be a JSON object"),
        ("@nowhere.json", "data: nowhere.json cannot be read"),
    ],
)
def test_anything_else_is_refused_with_its_field(given: str, sentence: str) -> None:
    """The refusal names the option and what is wrong with it."""
    with pytest.raises(InvalidInput, match=sentence) as caught:
        read_object(given, field="data")
    assert "data" == caught.value.details["field"]
