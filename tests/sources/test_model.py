"""What may enter and what is quarantined: pure rules, on recorded and on made-up payloads."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.packs.environment.pack import PACK
from haidang.sdk.model import (
    Attribute,
    AttributeKind,
    AttributeReading,
    EntityType,
    Message,
    MqttSource,
    Pack,
    Quality,
    Reading,
    Rejected,
)
from haidang.sources.errors import SourceOfUnknownType, SourcesShareAName
from haidang.sources.model import (
    KEPT_OF_OVERSIZED_BYTES,
    LARGEST_PAYLOAD_BYTES,
    REASON_TITLES,
    AdmittedValue,
    DeclaredSource,
    Quarantined,
    Reason,
    Refusal,
    Verdict,
    attributes_by_name,
    declared_sources,
    is_entity_id,
    judge,
    judge_value,
    merge_refusals,
)

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
(AIR,) = (one for one in declared_sources([PACK]) if one.source_id == "air-stations")

GAUGE = EntityType(
    "Gauge",
    "urn:test:Gauge",
    "Gauge",
    (
        Attribute("level", "urn:test:level", unit="MTR", least=-5, most=30, sentinels=(-999.0, 0.001)),
        Attribute("score", "urn:test:score", unit="MTR", derived=True),
        Attribute("state", "urn:test:state"),
        Attribute("location", "urn:test:location", kind=AttributeKind.GEO_PROPERTY, lasting=True),
        Attribute("owner", "urn:test:owner", kind=AttributeKind.RELATIONSHIP),
    ),
)
ATTRIBUTES = attributes_by_name(GAUGE)


def air(*, at: datetime = NOW, entity: str = "urn:ngsi-ld:AirQualityObserved:x", **values: Any) -> Message:
    """A station's message."""
    sent = {"id": entity, "observedAt": at.isoformat(), "values": values}
    return Message(msgspec.json.encode(sent), "haidang/air/x", NOW)


def pm25(value: Any, unit: str | None = "GQ", quality: str = "valid") -> dict[str, Any]:
    """One value as a station sends it."""
    return {"value": value, "unit": unit, "quality": quality}


def reasons(verdict: Verdict) -> set[str]:
    """The reasons of a verdict."""
    return {refusal.reason for refusal in verdict.refusals}


def only_value(verdict: Verdict, name: str = "pm25") -> AdmittedValue:
    """The admitted value of that name."""
    (found,) = (
        value for reading in verdict.admitted for value in reading.values if value.attribute.name == name
    )
    return found


def test_the_recorded_example_of_every_source_enters_whole() -> None:
    message = Message(AIR.source.example, AIR.source.example_topic, NOW)
    verdict = judge(AIR, message, now=NOW)
    assert verdict.refusals == ()
    assert only_value(verdict, "co").value == pytest.approx(410)  # sent in mg/m³, kept in µg/m³
    assert only_value(verdict, "relativeHumidity").value == pytest.approx(0.71)
    assert only_value(verdict, "no2").quality is Quality.MISSING


@pytest.mark.parametrize(
    ("sent", "value", "quality"),
    [
        (pm25(31.5), 31.5, Quality.VALID),
        (pm25(0.0315, "GP"), 31.5, Quality.VALID),
        (pm25(-999), None, Quality.MISSING),
        (pm25(-999, "GP"), None, Quality.MISSING),
        (pm25(12.0, quality="missing"), None, Quality.MISSING),
        (pm25(12.0, quality="suspect"), 12.0, Quality.SUSPECT),
        (pm25(12.0, quality="invalid"), 12.0, Quality.INVALID),
        (pm25(-3.0), -3.0, Quality.INVALID),
        (pm25(99_999.0), 99_999.0, Quality.INVALID),
    ],
)
def test_a_value_keeps_its_flag_or_gets_one(
    sent: dict[str, Any], value: float | None, quality: Quality
) -> None:
    admitted = only_value(judge(AIR, air(pm25=sent), now=NOW))
    assert admitted.quality is quality
    assert admitted.value == (pytest.approx(value) if value is not None else None)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Message(b"", "haidang/air/x", NOW), "not-json"),
        (Message(b'{"id": ', "haidang/air/x", NOW), "not-json"),
        (Message(b"[]", "haidang/air/x", NOW), "shape-unknown"),
        (Message(b"\xff\xfe\x00", "haidang/air/x", NOW), "not-json"),
        (air(at=NOW + timedelta(minutes=6), pm25=pm25(1)), Reason.OBSERVED_IN_FUTURE),
        (air(at=datetime(1970, 1, 1, tzinfo=UTC), pm25=pm25(1)), Reason.OBSERVED_TOO_LONG_AGO),
        (air(pm25=pm25(1, "KGM")), Reason.UNIT_DIFFERS),
        (air(pm25=pm25(1e308, "GP")), Reason.VALUE_OF_WRONG_KIND),
        (air(pm25=pm25(1, "µg")), Reason.UNIT_UNKNOWN),
        (air(pm25=pm25(1, None)), Reason.UNIT_MISSING),
        (air(pm25=pm25(1, "61")), Reason.UNIT_DIFFERS),  # ppb needs a gas and conditions
        (air(airQualityIndex=pm25(1, None)), Reason.ATTRIBUTE_UNKNOWN),
        (air(plutonium=pm25(1)), Reason.ATTRIBUTE_UNKNOWN),
    ],
)
def test_what_cannot_enter_is_refused_with_its_reason(message: Message, reason: str) -> None:
    verdict = judge(AIR, message, now=NOW)
    assert reason in reasons(verdict)
    assert not [v for reading in verdict.admitted for v in reading.values if v.attribute.unit == "GQ"]


def test_the_good_part_of_a_message_enters_beside_the_refusal() -> None:
    verdict = judge(AIR, air(pm25=pm25(20), no2=pm25(1, "KGM"), o3=pm25(30)), now=NOW)
    assert reasons(verdict) == {Reason.UNIT_DIFFERS}
    assert only_value(verdict).value == 20
    assert only_value(verdict, "o3").value == 30


def test_a_clock_five_minutes_ahead_is_forgiven() -> None:
    assert judge(AIR, air(at=NOW + timedelta(minutes=5), pm25=pm25(1)), now=NOW).refusals == ()


def test_a_large_payload_is_refused_before_it_is_decoded() -> None:
    def explode(_: Message) -> Iterable[Reading | Rejected]:
        raise AssertionError("decoded")

    declared = _declared(explode)
    message = Message(bytes(LARGEST_PAYLOAD_BYTES + 1), "t", NOW)
    assert reasons(judge(declared, message, now=NOW)) == {Reason.PAYLOAD_TOO_LARGE}
    kept = Quarantined("s", "v", message, Refusal("r", ""))
    assert len(kept.kept_payload) == KEPT_OF_OVERSIZED_BYTES


def test_a_decoder_that_fails_or_says_nothing_refuses_the_message() -> None:
    def fail(_: Message) -> Iterable[Reading | Rejected]:
        raise KeyError("x\x00y")

    message = Message(b"{}", "t", NOW)
    verdict = judge(_declared(fail), message, now=NOW)
    assert reasons(verdict) == {Reason.DECODER_FAILED}
    assert "\x00" not in verdict.refusals[0].detail
    assert reasons(judge(_declared(lambda _: ()), message, now=NOW)) == {Reason.NOTHING_READ}


def test_a_decoder_says_its_own_reason_if_it_is_a_code() -> None:
    declared = _declared(lambda _: [Rejected("no-fix"), Rejected("Not A Code!", "x")])
    assert reasons(judge(declared, Message(b"{}", "t", NOW), now=NOW)) == {"no-fix", Reason.REJECTED}


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (AttributeReading("level", True, "MTR"), Reason.VALUE_OF_WRONG_KIND),
        (AttributeReading("level", "3", "MTR"), Reason.VALUE_OF_WRONG_KIND),
        (AttributeReading("level", float("nan"), "MTR"), Reason.VALUE_OF_WRONG_KIND),
        (AttributeReading("level", float("inf"), "MTR"), Reason.VALUE_OF_WRONG_KIND),
        (AttributeReading("level", 10**400, "MTR"), Reason.VALUE_OF_WRONG_KIND),
        (AttributeReading("location", "here"), Reason.VALUE_OF_WRONG_KIND),
        (AttributeReading("owner", 7), Reason.VALUE_OF_WRONG_KIND),
        (AttributeReading("score", 7, "MTR"), Reason.ATTRIBUTE_DERIVED),
        (AttributeReading("urn:test:score", 7, "MTR"), Reason.ATTRIBUTE_DERIVED),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(given_value: AttributeReading, expected: Reason) -> None:
    judged = judge_value(ATTRIBUTES, given_value)
    assert isinstance(judged, Refusal)
    assert judged.reason == expected


def test_an_empty_value_is_missing_and_texts_pass() -> None:
    for name in ("level", "state", "location"):
        judged = judge_value(ATTRIBUTES, AttributeReading(name, None))
        assert isinstance(judged, AdmittedValue)
        assert judged.quality is Quality.MISSING
    text = judge_value(ATTRIBUTES, AttributeReading("urn:test:state", "đóng", quality=Quality.SUSPECT))
    assert text == AdmittedValue(ATTRIBUTES["state"], "đóng", Quality.SUSPECT)


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["MTR", "CMT", "KGM", "?", None]))
def test_no_number_in_any_unit_is_ever_valid_beyond_its_range(number: float, unit: str | None) -> None:
    judged = judge_value(ATTRIBUTES, AttributeReading("level", number, unit))
    if isinstance(judged, AdmittedValue) and judged.quality is Quality.VALID:
        assert -5 <= judged.value <= 30


@given(st.binary(max_size=400))
def test_no_payload_makes_the_judge_fail(payload: bytes) -> None:
    verdict = judge(AIR, Message(payload, "haidang/air/x", NOW), now=NOW)
    assert verdict.admitted or verdict.refusals


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_no_shape_of_values_makes_the_judge_fail(values: Any) -> None:
    sent = {"id": "urn:ngsi-ld:AirQualityObserved:x", "observedAt": "2026-11-21T05:00:00Z", "values": values}
    verdict = judge(AIR, Message(msgspec.json.encode(sent), "haidang/air/x", NOW), now=NOW)
    assert verdict.admitted or verdict.refusals
    assert all(refusal.detail.isprintable() for refusal in verdict.refusals)


@pytest.mark.parametrize(
    "text", ["", "x", "urn:", "urn:ngsi-ld:", "urn:ngsi-ld:A b", "urn:n:\x00", "http://x/y"]
)
def test_an_entity_is_named_by_a_urn(text: str) -> None:
    assert not is_entity_id(text)
    assert is_entity_id("urn:ngsi-ld:AirQualityObserved:phú-thủy")


def test_refusals_of_one_reason_are_told_together() -> None:
    merged = merge_refusals([Refusal("a", "1"), Refusal("b", "2"), Refusal("a", "3"), Refusal("a", "1")])
    assert merged == (Refusal("a", "1; 3"), Refusal("b", "2"))


def test_packs_may_not_share_a_source_or_speak_of_a_type_they_lack() -> None:
    with pytest.raises(SourcesShareAName):
        declared_sources([PACK, PACK])
    source = _declared(lambda _: ()).source
    with pytest.raises(SourceOfUnknownType):
        declared_sources([Pack("p", "1", "P", entity_types=(), sources=(source,))])


def _declared(decode: Any) -> DeclaredSource:
    source = MqttSource("gauges", "Gauges", "t/+", "Gauge", decode, timedelta(minutes=10), b"{}", "t/1")
    return DeclaredSource(source, GAUGE, ATTRIBUTES, "test 1")


def test_the_reference_names_every_reason_and_people_can_read_each() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "quarantine.md").read_text(encoding="utf-8")
    assert [reason for reason in Reason if f"`{reason}`" not in page and reason is not Reason.REJECTED] == []
    assert set(REASON_TITLES) == set(Reason)
