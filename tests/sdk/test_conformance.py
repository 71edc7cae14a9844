"""The pack test kit finds what it is for: each fault, put into a whole pack, is named."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from haidang.kernel.instants import VIETNAM
from haidang.sdk.conformance import check_pack, check_packs, topic_matches
from haidang.sdk.hostile import hostile_payloads
from haidang.sdk.model import (
    Attribute,
    AttributeReading,
    DerivedValue,
    History,
    Indicator,
    LatestEntities,
    LevelSign,
    Message,
    OneEntity,
    Pack,
    PageRequest,
    Reading,
    Rejected,
)
from tests.sdk import gauges

Change = Callable[[Pack], Pack]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return gauges.write_folder(tmp_path)


def changed(what: str, **parts: Any) -> Pack:
    """The pack with the first declaration of a kind changed."""
    first, *rest = getattr(gauges.PACK, what)
    declarations: dict[str, Any] = {what: (dataclasses.replace(first, **parts), *rest)}
    return dataclasses.replace(gauges.PACK, **declarations)


def with_attribute(attribute: Attribute) -> Pack:
    return changed("entity_types", attributes=(*gauges.GAUGE.attributes, attribute))


def faults(pack: Pack, folder: Path) -> list[str]:
    return [str(finding) for finding in check_pack(pack, folder)]


def test_a_whole_pack_has_no_findings(folder: Path) -> None:
    assert faults(gauges.PACK, folder) == []


def decode_raising(_message: Message) -> Iterator[Reading | Rejected]:
    raise KeyError("level")


def decode_only_whole(message: Message) -> Iterator[Reading | Rejected]:
    if not message.payload.endswith(b"}"):
        raise IndexError("cut")
    yield from gauges.decode(message)


def decode_utf8_only(message: Message) -> Iterator[Reading | Rejected]:
    message.payload.decode("utf-8")
    yield from gauges.decode(message)


def decode_counting(message: Message, _count: Iterator[int] = count()) -> Iterator[Reading | Rejected]:  # noqa: B008 - the fault
    del message
    yield Rejected("seen", str(next(_count)))


def decode_text(message: Message) -> Iterator[Any]:
    yield from gauges.decode(message)
    yield "a string"


def decode_unknown_attribute(message: Message) -> Iterator[Reading | Rejected]:
    for one in gauges.decode(message):
        yield (
            dataclasses.replace(one, values=(AttributeReading("depth", 1.0),))
            if isinstance(one, Reading)
            else one
        )


def decode_wrong_unit(message: Message) -> Iterator[Reading | Rejected]:
    for one in gauges.decode(message):
        yield (
            dataclasses.replace(one, values=(AttributeReading("waterLevel", 1.0, "GQ"),))
            if isinstance(one, Reading)
            else one
        )


def decode_local_time(message: Message) -> Iterator[Reading | Rejected]:
    for one in gauges.decode(message):
        yield (
            dataclasses.replace(one, observed_at=one.observed_at.astimezone(VIETNAM))
            if isinstance(one, Reading)
            else one
        )


def view_first(request: PageRequest) -> Mapping[str, Any]:
    return {"gauges": request.results["gauges"][0]}


def view_level(request: PageRequest) -> Mapping[str, Any]:
    return {"levels": [one.values["waterLevel"] for one in request.results["gauges"]]}


def rise_elsewhere(_window: object, moment: datetime) -> list[DerivedValue]:
    return [DerivedValue("waterLevel", moment, 1)]


def rise_of_first(window: Any, moment: datetime) -> list[DerivedValue]:
    return [DerivedValue("rise", moment, window["waterLevel"][0].number)]


@pytest.mark.parametrize(
    ("pack", "found"),
    [
        (dataclasses.replace(gauges.PACK, pack_id="Rivers!"), "ids: pack 'Rivers!': use small letters"),
        (
            dataclasses.replace(gauges.PACK, sources=(gauges.SOURCE, gauges.SOURCE)),
            "ids: source gauges: declared 2 times",
        ),
        (
            dataclasses.replace(
                gauges.PACK, pages=(gauges.LIST, dataclasses.replace(gauges.ONE, path="/gauges"))
            ),
            "ids: path /gauges: declared 2 times",
        ),
        (changed("entity_types", iri="Gauge"), "'Gauge' is no absolute IRI"),
        (
            with_attribute(Attribute("level2", "https://example.org/waterLevel", label="Rise")),
            "IRI https://example.org/waterLevel: declared 2 times",
        ),
        (changed("sources", entity_type="Buoy"), "names: source gauges: the entity type 'Buoy'"),
        (changed("derivations", inputs=("depth",)), "the attribute of Gauge 'depth' is not declared"),
        (changed("derivations", outputs=("waterLevel",), inputs=("rise",)), "not declared as derived"),
        (changed("derivations", inputs=("rise",)), "is input and output"),
        (changed("derivations", reach=timedelta(0)), "its reach is not positive"),
        (changed("datasets", entity_type="Buoy"), "dataset gauges: the entity type 'Buoy'"),
        (changed("map_layers", attribute="depth"), "map layer gauges: the attribute of Gauge 'depth'"),
        (changed("limits", attribute="depth"), "limit Alarm levels: the attribute 'depth'"),
        (changed("pages", queries=(LatestEntities("gauges", "Buoy"),)), "query gauges: the entity type"),
        (changed("pages", queries=(OneEntity("gauges", "Gauge", "id"),)), "the path parameter 'id'"),
        (
            changed("pages", queries=(History("levels", "gauges", (), timedelta(1)),)),
            "the query before it 'gauges'",
        ),
        (
            changed(
                "pages",
                queries=(
                    LatestEntities("gauges", "Gauge"),
                    History("levels", "gauges", ("depth",), timedelta(1)),
                ),
            ),
            "query levels: the attribute of Gauge 'depth'",
        ),
        (changed("pages", template="lost.html"), "there is no templates/lost.html"),
        (changed("pages", path="gauges/"), "begins with /"),
        (
            with_attribute(Attribute("flow", "https://example.org/flow", unit="m3/s", label="Rise")),
            "units: Gauge.flow: m3/s is not a unit",
        ),
        (
            with_attribute(Attribute("flow", "https://example.org/flow", least=3, most=3, label="Rise")),
            "its range from 3 to 3 is empty",
        ),
        (
            with_attribute(
                Attribute("flow", "https://example.org/flow", least=0, sentinels=(999.0,), label="Rise")
            ),
            "the sentinel 999.0 is a possible value too",
        ),
        (changed("limits", unit="GQ"), "A value in GQ cannot be expressed in MTR"),
        (
            dataclasses.replace(gauges.PACK, indicators=(Indicator("flood-days", "Rise", "days"),)),
            "units: indicator flood-days: days is not a unit",
        ),
        (changed("sources", rhythm=timedelta(0)), "its rhythm is not positive"),
        (changed("sources", example_topic="haidang/gauge/a/b"), "does not match 'haidang/gauge/+'"),
        (changed("sources", example=b"{}"), "its own example holds no reading"),
        (changed("sources", decode=decode_raising), "its own example: raised KeyError"),
        (changed("sources", decode=decode_only_whole), "payload empty: raised IndexError: cut"),
        (changed("sources", decode=decode_utf8_only), "raised UnicodeDecodeError"),
        (changed("sources", decode=decode_counting), "is not pure"),
        (changed("sources", decode=decode_text), "yields a str"),
        (changed("sources", decode=decode_unknown_attribute), "depth: is no attribute of Gauge"),
        (changed("sources", decode=decode_wrong_unit), "waterLevel: A value in GQ cannot be expressed"),
        (changed("sources", decode=decode_local_time), "is not in UTC"),
        (changed("derivations", derive=rise_elsewhere), "'waterLevel' is none of its outputs"),
        (changed("derivations", derive=rise_of_first), "empty window: raised KeyError"),
        (changed("derivations", moments=lambda _at: []), "an observation changes no moment"),
        (changed("pages", view=view_first), "page gauges: an empty city: raised IndexError"),
        (changed("pages", view=view_level), "page gauges: a bare entity: raised KeyError"),
        (changed("datasets", licence=""), "'' is no SPDX licence identifier"),
        (changed("datasets", licence="see the website"), "'see the website' is no SPDX"),
        (changed("datasets", publisher=" "), "has no publisher or no description"),
        (changed("pages", title="Rivers today"), "no Vietnamese for 'Rivers today'"),
    ],
)
def test_a_fault_is_found(pack: Pack, found: str, folder: Path) -> None:
    assert any(found in fault for fault in faults(pack, folder))


def test_an_import_of_another_room_is_found(folder: Path) -> None:
    (folder / "pack.py").write_text("import asyncpg\nfrom haidang.infra.database import Pool\nimport math\n")
    assert faults(gauges.PACK, folder) == [
        "imports: pack.py: imports asyncpg",
        "imports: pack.py: imports haidang.infra.database",
    ]


def test_a_template_that_does_not_parse_is_found(folder: Path) -> None:
    (folder / "templates" / "gauges.html").write_text("{% if %}")
    assert any("pages: templates/gauges.html" in fault for fault in faults(gauges.PACK, folder))


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{% trans %}How high\n   is it?{% endtrans %}", "no Vietnamese for 'How high is it?'"),
        ("{{ _('How high?') }}", "no Vietnamese for 'How high?'"),
        ("{{ 'How high?'|label }}", "no Vietnamese for 'How high?'"),
    ],
)
def test_an_untranslated_sentence_of_a_template_is_found(template: str, found: str, folder: Path) -> None:
    (folder / "templates" / "gauges.html").write_text(template)
    assert any(found in fault for fault in faults(gauges.PACK, folder))


def test_untranslated_sentences_of_code_are_found(folder: Path) -> None:
    (folder / "errors.py").write_text(
        "from haidang.kernel.errors import Invalid\n\n\n"
        'class GaugeUnknown(Invalid):\n    """There is no gauge {gauge_id}."""\n\n\n'
        'BANK_LABELS = {"left": "Left bank"}\n'
    )
    told = faults(gauges.PACK, folder)
    assert "translations: errors.py: no Vietnamese for 'There is no gauge {gauge_id}.'" in told
    assert "translations: errors.py: no Vietnamese for 'Left bank'" in told


def test_a_translation_with_a_field_of_its_own_is_found(tmp_path: Path) -> None:
    folder = gauges.write_folder(tmp_path, gauges.CATALOGUE | {"Rise": "Dâng {cm}"})
    assert faults(gauges.PACK, folder) == [
        "translations: Gauge.rise: 'Dâng {cm}' has fields that 'Rise' has not"
    ]


def test_a_missing_or_broken_catalogue_is_found(folder: Path) -> None:
    (folder / "locale" / "vi.po").write_text('msgid "Rivers"\nmsgstr "unclosed\nmsgid')
    assert any("locale/vi.po: cannot be read" in fault for fault in faults(gauges.PACK, folder))
    (folder / "locale" / "vi.po").unlink()
    assert any("locale/vi.po: cannot be read" in fault for fault in faults(gauges.PACK, folder))


def test_two_packs_cannot_claim_one_name() -> None:
    other = dataclasses.replace(gauges.PACK, pack_id="waters")
    told = [str(finding) for finding in check_packs([gauges.PACK, other])]
    assert "unique: source gauges: declared 2 times" in told
    assert "unique: path /gauges: declared 2 times" in told
    assert "unique: topic haidang/gauge/+: declared 2 times" in told
    assert check_packs([gauges.PACK]) == []


@pytest.mark.parametrize(
    ("topic_filter", "topic", "matches"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("#", "a", True),
        ("a/+/c", "a/b/c", True),
        ("a/b", "a/c", False),
    ],
)
def test_topics_match_as_mqtt_says(topic_filter: str, topic: str, *, matches: bool) -> None:
    assert topic_matches(topic_filter, topic) is matches


def test_hostile_payloads_hold_every_cut_and_are_the_same_every_time() -> None:
    example = gauges.SOURCE.example
    payloads = dict(hostile_payloads(example))
    assert {example[:cut] for cut in range(1, len(example))} <= set(payloads.values())
    assert payloads["twice in a row"] == example + example
    assert list(hostile_payloads(example)) == list(hostile_payloads(example))
    assert any(b'"level": null' in payload for payload in payloads.values())


def decode_with_standard_json(message: Message) -> Iterator[Reading | Rejected]:
    try:
        json.loads(message.payload)
    except json.JSONDecodeError as error:
        yield Rejected("unreadable", str(error))
        return
    yield from gauges.decode(message)


def test_payloads_that_only_the_standard_reader_trips_over_are_sent_too(folder: Path) -> None:
    told = faults(changed("sources", decode=decode_with_standard_json), folder)
    assert any("raised ValueError: Exceeds the limit" in fault for fault in told)
    assert any("raised RecursionError" in fault for fault in told)


@pytest.mark.parametrize(
    ("signs", "fault"),
    [
        ([LevelSign("Nguy hại", "maroon", 6)], "the level 'Nguy hại' needs a rank"),
        ([LevelSign("Tốt", "#00e400", 0)], "the level 'Tốt' needs a rank"),
        ([LevelSign("Tốt", "#00e400", 1)], ""),
    ],
)
def test_a_level_of_a_map_has_a_rank_and_a_colour(signs: list[LevelSign], fault: str, folder: Path) -> None:
    found = [one for one in faults(changed("map_layers", levels=lambda _: signs), folder) if "level" in one]
    assert all(fault in one for one in found)
    assert bool(found) is bool(fault)
