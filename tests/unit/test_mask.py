"""Personal values do not show."""

from __future__ import annotations

import json

import pytest

from monitors.mask import HIDDEN, mask_row


def test_columns_and_keys_of_a_payload_are_hidden_at_any_depth() -> None:
    """By name; everything else, and what is not there, stays as it is."""
    payload = {"client": "c", "user": [{"email": "a@b", "age": 3}], "phone": None}
    row = {"email": "a@b", "city": "X", "payload": json.dumps(payload)}
    masked = mask_row(row, ["client", "email", "phone"])

    assert (HIDDEN, "X") == (masked["email"], masked["city"])
    assert {"client": HIDDEN, "user": [{"email": HIDDEN, "age": 3}], "phone": None} == json.loads(
        masked["payload"]
    )


@pytest.mark.parametrize("payload", ["{", "[" * 100_000])
def test_an_unreadable_payload_is_hidden_as_a_whole(payload: str) -> None:
    """What cannot be looked into might hold anything."""

    assert HIDDEN == mask_row({"payload": payload}, ["email"])["payload"]


def test_nothing_is_hidden_unasked() -> None:
    """A feed without personal columns shows its text byte for byte."""
    row = {"payload": '{"a" :1}'}

    assert row == mask_row(row, [])
