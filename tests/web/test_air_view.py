"""Whatever a machine writes about a station, the pages stand: one odd station is no reason for none."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from haidang.infra.province import ProvinceSettings
from haidang.infra.templates import Templates
from haidang.infra.translations import Translations
from haidang.kernel.instants import Instant, parse_instant
from haidang.packs.environment import pages
from haidang.packs.environment.air import AIR_QUALITY_OBSERVED
from haidang.packs.environment.pack import PACK
from haidang.sdk.loading import pack_folder
from haidang.sdk.model import EntityView, Observation, PageRequest, Quality
from haidang.web.asgi import build_globals
from haidang.web.portal.pages import csv_text

NOW = parse_instant("2026-11-21T05:07:00Z")
NAMES = [one.name for one in AIR_QUALITY_OBSERVED.attributes]

anything = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.just(10**400)
    | some.floats()
    | some.text(max_size=20)
    | some.sampled_from(["2026-11-21T05:00:00Z", "pm25", "replay: x", "synthetic", "Point"]),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from(
                ["type", "coordinates", "addressLocality", "subIndices", "pm25", "index", "averaging"]
            )
            | some.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
moments = some.integers(-900_000, 60).map(lambda minutes: NOW + timedelta(minutes=minutes))
observations = some.lists(
    some.builds(
        Observation,
        moments.map(lambda at: at.replace(minute=0, second=0)),
        some.none() | some.floats(),
        some.sampled_from(Quality),
    ),
    max_size=5,
).map(lambda found: sorted(found, key=lambda one: one.observed_at))


points = some.fixed_dictionaries(
    {"type": some.just("Point"), "coordinates": anything | some.lists(some.floats())}
)


@some.composite
def entities(draw: some.DrawFn) -> EntityView:
    """An entity of the type, with anything in its attributes."""
    values: dict[str, Any] = draw(some.dictionaries(some.sampled_from(NAMES), anything, max_size=10))
    values |= draw(
        some.fixed_dictionaries(
            {},
            optional={
                "airQualityIndex": anything | some.floats(),
                "location": points,
                "address": anything,
                "recordedAt": anything,
                "pm25": some.floats(),
                "relativeHumidity": some.floats(),
                "source": some.sampled_from(["synthetic", "replay: x"]) | anything,
            },
        )
    )
    at: dict[str, Instant] = {name: draw(moments) for name in values if draw(some.booleans())}
    return EntityView(
        entity_id=f"urn:ngsi-ld:AirQualityObserved:{draw(some.text(min_size=1, max_size=8))}",
        entity_type="AirQualityObserved",
        values=values,
        observed_at=at,
        quality={name: draw(some.sampled_from(Quality)) for name in values},
        units={name: draw(some.sampled_from(["GQ", "P1", "", "?"])) for name in values},
        sub_attributes=draw(
            some.dictionaries(
                some.sampled_from(["airQualityIndex", "pm25"]),
                some.dictionaries(some.sampled_from(["dominantPollutant", "subIndices"]), anything),
            )
        ),
        modified_at=NOW,
        synthetic=draw(some.booleans()),
        replayed=draw(some.booleans()),
    )


@pytest.fixture(scope="module")
def templates(translations: Translations) -> Templates:
    """The templates as the web has them."""
    made = Templates(translations, packs={PACK.pack_id: pack_folder(PACK.pack_id)})
    build_globals(made)
    return made


AROUND: dict[str, Any] = {
    "title": "T",
    "here": "/khong-khi",
    "home": "/",
    "link": str,
    "site": "",
    "alternates": [],
    "province": ProvinceSettings(),
    "bulletin": None,
    "risk_levels": {},
    "searchable": False,
    "menu": [],
    "now": NOW,
    "status": 200,
    "page": PACK.pages[0],
    "csv_path": "/khong-khi.csv",
}


@settings(max_examples=100, deadline=None)
@given(some.lists(entities(), min_size=1, max_size=2, unique_by=lambda one: one.entity_id), observations)
def test_the_pages_and_tables_stand_whatever_a_station_says(
    templates: Templates, stations: list[EntityView], seen: list[Observation]
) -> None:
    ids = [one.entity_id for one in stations]
    history = {one: {"airQualityIndex": seen, "airQualityIndexDaily": seen, "pm25": seen} for one in ids}
    request = PageRequest({"stations": stations, "hours": history, "days": history}, {}, NOW, "vi")
    shown = pages.show_list(request)
    assert len(shown["stations"]) == len(stations)
    csv_text(pages.list_table(request))
    for name in ("air.html", "air_glance.html"):
        assert "</a>" in templates.render(f"packs/environment/{name}", "vi", **{**AROUND, **shown})
    for station in stations:
        one = PageRequest({"station": station, "hours": history, "days": history}, {}, NOW, "vi")
        csv_text(pages.station_table(one))
        page = templates.render(
            "packs/environment/air_station.html", "vi", **{**AROUND, **pages.show_station(one)}
        )
        assert 'id="parameters"' in page
