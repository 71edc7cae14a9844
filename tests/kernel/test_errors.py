"""Errors: five kinds, a code and a sentence each."""

import pytest

from haidang.kernel.errors import Conflict, Denied, HaidangError, Invalid, NotFound, Unavailable


class SluiceGateAlreadyOpen(Conflict):
    """Sluice gate {gate_id} was opened at {opened_at}.

    Only the first line is the sentence.
    """


def test_an_error_says_its_sentence_with_its_fields() -> None:
    error = SluiceGateAlreadyOpen(gate_id="C3", opened_at="17:05")
    assert str(error) == "Sluice gate C3 was opened at 17:05."
    assert error.code() == "sluice-gate-already-open"
    assert error.kind == "conflict"
    assert error.sentence("Cống {gate_id} đã mở lúc {opened_at}.") == "Cống C3 đã mở lúc 17:05."


def test_a_missing_field_shows_as_a_dash() -> None:
    assert str(SluiceGateAlreadyOpen(gate_id="C3")) == "Sluice gate C3 was opened at –."


@pytest.mark.parametrize(
    ("kind", "name", "retry"),
    [
        (NotFound, "not-found", False),
        (Denied, "denied", False),
        (Invalid, "invalid", False),
        (Conflict, "conflict", False),
        (Unavailable, "unavailable", True),
    ],
)
def test_only_the_world_is_worth_another_try(kind: type[HaidangError], name: str, *, retry: bool) -> None:
    assert kind.kind == name
    assert kind.retry is retry
