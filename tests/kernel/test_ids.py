"""Ids: they sort by time, they never repeat, and a malformed one is refused."""

import re
import time
from uuid import RFC_4122

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.kernel.ids import (
    EntityTypeUnusable,
    UrnKindUnknown,
    UrnMalformed,
    check_urn,
    entity_urn,
    new_urn,
    new_uuid,
)


def test_a_uuid_is_of_version_7_and_carries_its_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    made = new_uuid()
    assert made.version == 7
    assert made.variant == RFC_4122
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ten_thousand_uuids_are_different() -> None:
    assert len({new_uuid() for _ in range(10_000)}) == 10_000


def test_a_later_uuid_sorts_later() -> None:
    earlier = new_uuid()
    time.sleep(0.002)
    assert earlier < new_uuid()


def test_a_new_urn_names_its_kind() -> None:
    urn = new_urn("field-report")
    assert re.fullmatch(r"urn:haidang:field-report:[0-9a-f-]{36}", urn)
    assert check_urn(urn) == urn


@pytest.mark.parametrize("kind", ["", "Report", "báo-cáo", "a--b", "-a", "a:b", "a b"])
def test_a_kind_that_would_break_the_urn_is_refused(kind: str) -> None:
    with pytest.raises(UrnKindUnknown):
        new_urn(kind)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "urn:",
        "urn:a:b",
        "urn:urn:x",
        "http://example.org/a",
        "urn:ngsi-ld:",
        "urn:ngsi-ld:Trạm:1",
        "urn:ngsi-ld:A:b c",
        "urn:ngsi-ld:A:%zz",
        "urn:ngsi-ld:A:b\n",
        "urn:ngsi-ld:A:" + "x" * 600,
    ],
)
def test_what_is_not_a_urn_is_refused(text: str) -> None:
    with pytest.raises(UrnMalformed):
        check_urn(text)


def test_an_entity_id_is_made_as_ngsi_ld_makes_it() -> None:
    assert entity_urn("AirQualityObserved", "phu-thuy") == "urn:ngsi-ld:AirQualityObserved:phu-thuy"
    with pytest.raises(EntityTypeUnusable):
        entity_urn("Air Quality", "phu-thuy")
    with pytest.raises(UrnMalformed):
        entity_urn("AirQualityObserved", "phú thủy")


@given(st.text(max_size=30))
def test_every_entity_id_that_is_made_is_a_urn(name: str) -> None:
    try:
        made = entity_urn("Thing", name)
    except UrnMalformed:
        return
    assert check_urn(made) == made
