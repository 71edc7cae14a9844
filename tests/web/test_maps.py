"""Maps drawn on the server: well-formed, inside their frame, ours alone; the page of the map; its policy."""

import gzip
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as some

from haidang.infra.database import Connection, Pool
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.settings import read_settings
from haidang.infra.templates import manifest_path
from haidang.infra.translations import Translations
from haidang.kernel.actors import Actor, anonymous
from haidang.kernel.geometry import Box
from haidang.kernel.instants import VIETNAM, SetClock
from haidang.places.basemap.features import MapLayer, shown_by_layer
from haidang.places.basemap.maps import BaseMap
from haidang.places.land import land
from haidang.places.model import Level
from haidang.places.service import outlines, units_on
from haidang.web.asgi import build_application
from haidang.web.portal import places_map
from haidang.web.shared.maps import (
    HEIGHT,
    WIDTH,
    MapMarker,
    Outline,
    box_around,
    fixed_names,
    map_picture,
)
from haidang.web.shared.maps import VIETNAM as WHOLE_COUNTRY
from haidang.web.shared.security import CONTENT_SECURITY_POLICY, live_map_headers
from haidang.web.shared.units import unit_path
from tests.web.client import Client
from tests.web.country import lam_dong
from tests.web.houses import house_on

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"
ON_A_PHONE = 15_000  # bytes as they travel
FRONT_END = Path(__file__).resolve().parents[2] / "frontend"
HOSTILE = '"><script>alert(1)</script>'

positions = some.tuples(some.floats(102.2, 117.8), some.floats(6.7, 23.7))
texts = some.text(
    some.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20
)


def drawn(text: str) -> ET.Element:
    """The picture, parsed: it has to be well-formed."""
    return ET.fromstring(str(text).replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))  # noqa: S314 - our own


def words(picture: ET.Element) -> list[str]:
    return ["".join(one.itertext()) for one in picture.iter(f"{SVG}text")]


def of_class(picture: ET.Element, name: str) -> list[ET.Element]:
    return [one for one in picture.iter() if name in (one.get("class") or "").split()]


@settings(max_examples=40)
@given(
    some.lists(
        some.builds(
            lambda at, label, rank: MapMarker(at[0], at[1], label, "#ff7e00" if rank else "", rank),
            positions,
            texts,
            some.integers(0, 6),
        ),
        max_size=12,
    )
)
def test_every_mark_is_inside_the_frame_and_says_its_words(markers: list[MapMarker]) -> None:
    picture = drawn(map_picture(markers=markers))
    circles = of_class(picture, "map-mark")
    assert len(circles) + len(of_class(picture, "map-level")) == len(markers)
    for one in circles:
        assert 0 <= float(one.get("cx") or "nan") <= WIDTH
        assert 0 <= float(one.get("cy") or "nan") <= HEIGHT


@settings(max_examples=40)
@given(some.lists(some.tuples(positions, texts), min_size=2, max_size=30))
def test_labels_never_cover_one_another(marks: list[tuple[tuple[float, float], str]]) -> None:
    picture = drawn(map_picture(markers=[MapMarker(*at, label) for at, label in marks]))
    boxes = []
    for one in of_class(picture, "map-label"):
        if "mark" not in (one.get("class") or ""):
            continue
        wide = len("".join(one.itertext())) * 11 * 0.56
        x, y = float(one.get("x") or "nan"), float(one.get("y") or "nan")
        boxes.append(shapely.box(x - wide / 2, y - 8, x + wide / 2, y + 2))
    for place, one_box in enumerate(boxes):
        assert not any(shapely.area(shapely.intersection(one_box, other)) > 2 for other in boxes[:place])


def test_without_anything_to_show_it_is_the_country_with_both_archipelagos() -> None:
    said = words(drawn(map_picture(height=420)))
    assert said[:4] == ["Quần đảo Hoàng Sa", "(Đà Nẵng)", "Quần đảo Trường Sa", "(Khánh Hoà)"]
    assert "Hoàng Sa" in words(drawn(map_picture(height=420, locale="en")))
    assert all(WHOLE_COUNTRY.contains(*at) for one in land().archipelagos for at in one.islands.tolist())
    names = [one["name"] for one in fixed_names()]
    assert names[:3] == ["Biển Đông", "Quần đảo Hoàng Sa\n(Đà Nẵng)", "Quần đảo Trường Sa\n(Khánh Hoà)"]
    assert len(names) == 3 + 34


def test_it_has_a_name_a_description_a_scale_and_its_source() -> None:
    picture = drawn(map_picture(box=Box(108, 10.8, 108.4, 11.1), name="m", title="T", description="D"))
    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby") == "m-title m-desc"
    assert next(picture.iter(f"{SVG}title")).text == "T"
    assert "10 km" in words(picture)
    assert words(picture)[-1].startswith("© sapnhap.bando.com.vn")


def test_the_scale_is_true() -> None:
    """At 11° north a degree of longitude is 109.4 km."""
    picture = drawn(map_picture(box=Box(108, 10.9, 109, 11.1)))
    (bar,) = of_class(picture, "map-scale")
    units = float((bar.get("d") or "").partition("h")[2].partition("v")[0])
    kilometres = float(next(one for one in words(picture) if one.endswith("km")).removesuffix(" km"))
    assert kilometres / units == pytest.approx(109.4 / (0.9 * WIDTH), rel=0.02)


def test_markup_in_words_is_text_and_ways_are_in_the_language() -> None:
    square = shapely.box(108, 11, 108.2, 11.2)
    text = map_picture(
        [Outline(square, HOSTILE, "/don-vi/x", words=HOSTILE, key=HOSTILE)],
        [MapMarker(108.1, 11.1, HOSTILE, "#ff7e00", 3, "/y", HOSTILE)],
        title=HOSTILE,
        name='"x',
        locale="en",
    )
    picture = drawn(text)
    assert not list(picture.iter(f"{SVG}script"))
    assert [one.get("href") for one in picture.iter(f"{SVG}a")] == ["/en/don-vi/x", "/en/y"]
    assert "style=" not in str(text)


def test_what_lies_around_is_neither_led_to_nor_decides_the_view() -> None:
    near, far = shapely.box(108, 11, 108.1, 11.1), shapely.box(104, 9, 109, 12)
    shown = [Outline(near, "N", "/n", "chosen"), Outline(far, "F", "/f", "ground")]
    assert box_around(shown) == Box(108, 11, 108.1, 11.1)
    assert [one.get("href") for one in drawn(map_picture(shown)).iter(f"{SVG}a")] == ["/n"]


async def test_a_province_on_a_phone_is_small(facts: Pool, visitor: Actor, clock: SetClock) -> None:
    on = clock.now().astimezone(VIETNAM).date()
    async with facts.acquire() as connection:
        provinces = await units_on(visitor, connection, on, level=Level.PROVINCE)
        wards = await units_on(visitor, connection, on, level=Level.WARD)
        shapes = await outlines(visitor, connection, [one.unit_id for one in wards])
    drawn_fully = 0
    for province in provinces:
        below = [one for one in wards if one.parent_id == province.unit_id and one.unit_id in shapes]
        if len(below) < 100:
            continue
        drawn_fully += 1
        areas = [
            Outline(
                shapes[one.unit_id], one.name, unit_path(one.unit_id), words=one.full_name, key=one.unit_id
            )
            for one in below
        ]
        text = map_picture(areas)
        assert len(gzip.compress(str(text).encode())) < ON_A_PHONE, province.name
        assert len(of_class(drawn(text), "map-units")[0].findall(f"{SVG}a")) == len(areas)
    assert drawn_fully == 2


@pytest.fixture
def visitor() -> Actor:
    """Nobody known."""
    return anonymous()


@pytest.fixture(scope="module")
async def facts(cluster: TemporaryCluster, country_template: str) -> AsyncIterator[Pool]:
    """Lâm Đồng with its wards and five stations."""
    async with lam_dong(cluster, country_template, NOW) as pool:
        yield pool


@pytest.fixture
def province(facts: Pool, clock: SetClock, translations: Translations, tmp_path: Path) -> Client:
    """Its web."""
    house = house_on(facts, clock, translations, read_settings({"HAIDANG_HOME": str(tmp_path)}))
    return Client(build_application(house))


async def test_the_map_of_the_province_lists_what_it_draws(province: Client) -> None:
    reply = await province.page("/ban-do")
    assert reply.status == 200
    assert "<h1>Bản đồ Lâm Đồng</h1>" in reply.text
    assert reply.text.count("<li data-map-key=") == 124 + 4
    assert "Phường, xã, đặc khu (124)" in reply.text
    assert "Phú Thủy: 61 Trung bình" in reply.text
    assert 'href="/don-vi/phuong-phan-thiet-lam-dong"' in reply.text
    assert "Nhà xuất bản Tài nguyên" in reply.text
    in_english = await province.page("/en/ban-do")
    assert "<h1>Map of Lâm Đồng</h1>" in in_english.text
    assert 'href="/en/don-vi/phuong-phan-thiet-lam-dong"' in in_english.text


async def test_the_lines_of_the_backgrounds_stand_under_the_map_without_a_script(
    facts: Pool,
    clock: SetClock,
    translations: Translations,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = {
        "HAIDANG_HOME": str(tmp_path),
        "HAIDANG_WMTS_URL": "https://ban-do.example.vn/{z}/{x}/{y}.png",
        "HAIDANG_WMTS_ATTRIBUTION": "Sở Thử nghiệm <2026>",
    }
    used = BaseMap(
        uuid4(), "0" * 64, 1, (), (), "Ai đó & bạn, ODbL 1.0", {}, 1, WHOLE_COUNTRY, NOW, in_use=True
    )

    async def in_use(_actor: Actor, _connection: Connection) -> BaseMap:
        return used

    monkeypatch.setattr(places_map, "base_map_in_use", in_use)
    with_both = Client(build_application(house_on(facts, clock, translations, read_settings(asked))))
    page = (await with_both.page("/ban-do")).text
    under = page.partition('class="map-attribution">')[2].partition("</p>")[0]
    assert "sapnhap.bando.com.vn" in under
    assert "Ai đó &amp; bạn, ODbL 1.0" in under
    assert "Sở Thử nghiệm &lt;2026&gt;" in under


def test_every_kind_of_ground_has_a_colour_of_its_own_in_both_themes() -> None:
    style = (FRONT_END / "islands" / "map" / "style.ts").read_text("utf-8")
    grounds = style.partition("const GROUNDS")[2].partition("};")[0]
    coloured = re.findall(r'"([a-z]+)"', grounds)
    values = "forest wood scrub grass meadow park pitch farmland residential commercial retail industrial"
    values += " cemetery beach sand wetland salt_pond aerodrome school university hospital"
    shown = [shown_by_layer(MapLayer.LANDUSE, one, 2) for one in values.split()]
    kinds = {one.kind for one in shown if one is not None}
    assert len(kinds) > 10
    assert sorted(coloured) == sorted(kinds)
    sheet = (FRONT_END / "styles" / "map.css").read_text("utf-8")
    for token in re.findall(r'"(--map-[a-z]+)"', grounds):
        assert len(set(re.findall(rf"{token}: (#[0-9a-f]{{6}});", sheet))) == 2, token


async def test_only_a_page_with_a_map_may_start_a_worker(province: Client) -> None:
    policy = (await province.page("/ban-do")).header("content-security-policy") or ""
    assert "worker-src 'self'" in policy
    assert "img-src 'self' data: blob:" in policy
    assert "unsafe" not in policy
    assert (await province.page("/khong-khi")).header("content-security-policy") == CONTENT_SECURITY_POLICY


async def test_nobody_writes_to_the_map(province: Client) -> None:
    assert (await province.ask("POST", "/ban-do")).status == 405


async def test_before_the_facts_are_there_it_says_so(web: Client) -> None:
    reply = await web.page("/ban-do")
    assert reply.status == 200
    assert "Ở đây chưa có gì" in reply.text
    assert "<svg class=" not in reply.text.partition("<main")[2].partition("</main>")[0]


def test_a_map_service_of_the_province_is_the_one_other_host() -> None:
    ((name, policy),) = live_map_headers("https://ban-do.example.vn/wmts/{z}/{x}/{y}.png?k=1")
    assert name == b"content-security-policy"
    assert b"img-src 'self' https://ban-do.example.vn data: blob:" in policy
    assert b"connect-src 'self' https://ban-do.example.vn;" in policy
    assert policy.count(b"https:") == 2
    assert (b"permissions-policy", b"camera=(), geolocation=(self), microphone=(), payment=(), usb=()") in (
        live_map_headers(geolocation=True)
    )


def test_the_built_map_draws_marks_on_capitals_where_they_belong() -> None:
    """MapLibre takes a glyph whose top is 0 for one without (ADR 49); the build mends it or fails."""
    built = [one.read_text("utf-8") for one in manifest_path().parent.parent.glob("live-*.js")]
    (library,) = [one for one in built if "glyphTop" in one and "maplibregl-map" in one]
    assert re.search(r"top:Number\.isFinite\((\w+)\.glyphTop\)\?\1\.glyphTop/2-27\.5:-8", library)
