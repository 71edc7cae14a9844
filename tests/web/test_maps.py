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
from shapely.geometry.base import BaseGeometry

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
from haidang.web.shared.maps import VIETNAM as WHOLE_COUNTRY
from haidang.web.shared.maps import (
    WIDTH,
    MapMarker,
    Outline,
    _drawn_land,
    _view_of,
    box_around,
    fixed_names,
    map_picture,
)
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
    scene = ET.fromstring(str(text).replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))  # noqa: S314 - our own
    (picture,) = scene
    return picture


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
        assert 0 <= float(one.get("cy") or "nan") <= size_of(picture)[1]


@settings(max_examples=40)
@given(some.lists(some.tuples(positions, texts), min_size=2, max_size=30))
def test_labels_never_cover_one_another(marks: list[tuple[tuple[float, float], str]]) -> None:
    for width, of_page in ((WIDTH, WIDTH), (WIDTH, 900), (2 * WIDTH, WIDTH), (2 * WIDTH, 900)):
        picture = drawn(map_picture(markers=[MapMarker(*at, label) for at, label in marks], width=width))
        font = 11 * width / WIDTH * (0.5 if of_page == 900 else 1)
        shown = [
            one
            for one in of_class(picture, "map-label")
            if of_page == 900 or "on-wide" not in (one.get("class") or "")
        ]
        labels = [label_box(one, font) for one in shown if "sea" not in (one.get("class") or "")]
        for place, one_box in enumerate(labels):
            assert not any(one_box.intersection(other).area > font / 4 for other in labels[:place])
        half = 0.8 * (0.5 if of_page == 900 else 1) * (8 if len(marks) <= 14 else 5) * width / WIDTH
        for one in of_class(picture, "map-mark"):
            x, y = float(one.get("cx") or "nan"), float(one.get("cy") or "nan")
            mark = shapely.box(x - half, y - half, x + half, y + half)
            assert not any(mark.intersection(label).area > font / 4 for label in labels)


def label_box(one: ET.Element, font: float) -> BaseGeometry:
    """What a label covers in a size of letters, as a browser lays it out."""
    wide = len("".join(one.itertext())) * font * 0.56
    x = float(one.get("x") or "nan") + float((one.get("dx") or "0em").removesuffix("em")) * font
    base = float(one.get("y") or "nan") + float((one.get("dy") or "0em").removesuffix("em")) * font
    left = {None: x - wide / 2, "start": x, "end": x - wide}[one.get("text-anchor")]
    return shapely.box(left, base - 0.75 * font, left + wide, base + 0.1 * font)


def size_of(picture: ET.Element) -> tuple[float, float]:
    _, _, width, height = map(float, (picture.get("viewBox") or "").split())
    return width, height


@settings(max_examples=40)
@given(positions, positions, some.sampled_from([(360, 300), (360, 420), (720, 600), (720, 300)]))
def test_a_picture_never_shows_what_we_do_not_hold(
    one: tuple[float, float], other: tuple[float, float], form: tuple[int, int]
) -> None:
    """The land is carried from 100 to 120 east, 6 to 24 north: beyond it, sea would be a guess."""
    (west, east), (south, north) = sorted([one[0], other[0]]), sorted([one[1], other[1]])
    view = _view_of(Box(west, south, east, north), *form)
    left, top = view.position(0, 0)
    right, bottom = view.position(view.width, view.height)
    assert 100 - 1e-6 <= left <= west <= east <= right <= 120 + 1e-6
    assert 6 - 1e-6 <= bottom <= south <= north <= top <= 24 + 1e-6


def test_the_names_of_the_archipelagos_stand_clear_of_marks_and_of_other_words() -> None:
    """As on the page of the whole country: stations and hospitals stand along the coast before Hoàng Sa."""
    marks = [MapMarker(109.2 - 0.1 * (one % 5), 13.5 + 0.25 * one, "35") for one in range(12)]
    provinces = [Outline(shape, name) for shape, name in zip(land().provinces, land().names, strict=True)]
    picture = drawn(map_picture(provinces, marks, WHOLE_COUNTRY))
    sea = [one for one in of_class(picture, "map-label") if "sea" in (one.get("class") or "")]
    assert len(sea) >= 4
    others = [one for one in of_class(picture, "map-label") if one not in sea]
    near = [one for one in others if "on-wide" not in (one.get("class") or "")]
    assert near
    for font, there in ((11.0, near), (5.5, others)):
        for name in sea:
            assert not any(
                label_box(name, font).intersection(label_box(other, font)).area > 1 for other in there
            )
    circles = of_class(picture, "map-mark")
    for one in circles:
        at = shapely.Point(float(one.get("cx") or "nan"), float(one.get("cy") or "nan")).buffer(6.4)
        assert not any(at.intersects(label_box(name, 11)) for name in sea)


def test_the_ground_is_drawn_once_while_the_marks_on_it_change() -> None:
    square = [Outline(shapely.box(108, 11, 108.2, 11.2), "Một")]
    _drawn_land.cache_clear()
    texts_drawn = {
        str(map_picture(square, [MapMarker(108.1, 11.1, label)], Box(108, 11, 108.2, 11.2)))
        for label in "abc"
    }
    assert len(texts_drawn) == 3
    assert (_drawn_land.cache_info().misses, _drawn_land.cache_info().hits) == (1, 2)


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
    under = page.partition('class="map-attribution">')[2].partition("</div>")[0]
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
