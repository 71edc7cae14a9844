"""The design system: colours that can be read, browsers that are old, forms that answer, walls, charts."""

import re
from datetime import date
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as some

from haidang.infra.templates import manifest_path
from haidang.kernel.text import fold
from haidang.sdk.charts import Point, Threshold
from haidang.sdk.loading import installed_packs
from haidang.web.design.page import SECTION_TITLES
from haidang.web.design.tokens import TokenMissing, measure, measure_levels, measure_signs, read_themes
from haidang.web.shared.charts import HEIGHT, WIDTH, line_chart, spark_line
from haidang.web.shared.forms import DayUnreadable, FormUnreadable, read_day, read_form
from haidang.web.shared.house import House
from haidang.web.shared.levels import NIGHT
from haidang.web.shared.walls import (
    SIGHT,
    SIZES,
    WallCannotBeRead,
    WallSizeImpossible,
    cap_height_m,
    wall_root_px,
)
from tests.web.client import Client, Reply

ROOT = Path(__file__).resolve().parents[2]
STYLES = ROOT / "frontend" / "styles"
FORM = ("content-type", "application/x-www-form-urlencoded")


def built(ending: str) -> dict[str, str]:
    """What the build made, by its source, as far as pages bring it themselves.

    What is fetched later (ECharts, MapLibre: `import()`) only enhances, and is left out.
    """
    manifest = orjson.loads(manifest_path().read_bytes())
    wanted = {name for name, one in manifest.items() if one.get("isEntry")}
    while more := {each for name in wanted for each in manifest[name].get("imports", ())} - wanted:
        wanted |= more
    folder = manifest_path().parent.parent
    return {
        name: (folder / manifest[name]["file"]).read_text("utf-8")
        for name in sorted(wanted)
        if manifest[name]["file"].endswith(ending)
    }


# --- colours -------------------------------------------------------------------------------------


def test_every_pair_of_colours_can_be_read_in_both_themes() -> None:
    pairs = measure(read_themes((STYLES / "tokens.css").read_text("utf-8")))
    assert {one.theme for one in pairs} == {"day", "night"}
    assert [f"{one.theme}: {one.token} on {one.ground} {one.ratio}" for one in pairs if not one.passes] == []


def test_the_words_of_every_level_can_be_read() -> None:
    assert [level for level in measure_levels() if level[3] < 4.5] == []


def test_the_words_of_every_level_of_an_installed_pack_can_be_read() -> None:
    shown = measure_signs(installed_packs(), "vi")
    assert [words for _, signs in shown for _, words, _, _ in signs][:2] == ["0–50 Tốt", "51–100 Trung bình"]
    assert [(label, one) for label, signs in shown for one in signs if one[3] < 4.5] == []


def test_what_is_measured_is_what_the_browser_gets() -> None:
    source = read_themes((STYLES / "tokens.css").read_text("utf-8"))
    for name in ("styles/public.css", "styles/room.css"):
        for theme, colours in read_themes(built(".css")[name]).items():
            assert colours == colours | source[theme]


def test_words_on_a_level_have_the_ink_they_are_measured_with() -> None:
    for colours in read_themes((STYLES / "tokens.css").read_text("utf-8")).values():
        assert colours["on-level"] == NIGHT
        assert colours["plate"] == "#ffffff"


def test_the_measuring_sees_a_colour_that_is_too_pale_or_gone() -> None:
    css = (STYLES / "tokens.css").read_text("utf-8")
    pale = measure(read_themes(css.replace("--dim: #46596b", "--dim: #8c9dab")))
    assert [(one.theme, one.token) for one in pale if not one.passes] == [("day", "dim"), ("day", "dim")]
    with pytest.raises(TokenMissing, match="has no colour"):
        measure({"day": {"text": "#000000", "ground": "#ffffff", "panel": "#ffffff"}})


def test_a_style_sheet_uses_no_token_that_is_not_set() -> None:
    css = "\n".join(path.read_text("utf-8") for path in STYLES.glob("*.css"))
    known = set(re.findall(r"(--[\w-]+)\s*:", css))
    assert set(re.findall(r"var\((--[\w-]+)", css)) - known == set()


# --- the floor: Chrome and Cốc Cốc 109, Safari 15.0 ------------------------------------------------

ABOVE_THE_FLOOR_IN_CSS = {
    "cascade layers (Safari 15.4)": r"@layer",
    "media ranges (Safari 16.4)": r"@media[^{]*\([^)]*[<>]",
    "nesting (Chrome 112, Safari 16.5)": r"[{;]\s*&|\{[^{}]*\{[^{}]*\{[^{}]*\{",
    "color-mix (Chrome 111)": r"color-mix\(",
    "oklch, lab and the like (Chrome 111)": r"\b(?:oklch|oklab|lch|lab)\(",
    "relative colours": r"\b(?:rgb|hsl)a?\(from\b",
    "light-dark (Chrome 123)": r"light-dark\(",
    "subgrid (Chrome 117)": r"\bsubgrid\b",
    "dynamic viewport units (Safari 15.4)": r"\d(?:d|s|l)v(?:h|w|min|max|b|i)\b",
    "overflow: clip (Safari 16)": r"overflow(?:-[xy])?:\s*clip",
    "individual transforms (Chrome 104)": r"[;{](?:rotate|scale|translate):",
    "@scope, @starting-style, @property": r"@(?:scope|starting-style|property)\b",
    "popover and anchors": r":popover-open|anchor\(|position-area",
    "field-sizing": r"field-sizing",
}
CONTAINERS_ONLY_ENHANCE = {"--map-share", "display"}
"""What container queries (Safari 16) may set: without them the words of maps stay as large as on a phone."""
HAS_ONLY_ENHANCES = {".card:has(a.whole):hover"}
"""Rules with `:has` (Safari 15.4) without which nothing is lost."""

ABOVE_THE_FLOOR_IN_JS = {
    "Array.prototype.at (Safari 15.4)": r"\.at\(-?\d",
    "findLast (Safari 15.4)": r"\.findLast(?:Index)?\(",
    "Object.hasOwn (Safari 15.4)": r"Object\.hasOwn\(",
    "structuredClone (Safari 15.4)": r"\bstructuredClone\(",
    "randomUUID (Safari 15.4)": r"\.randomUUID\(",
    "change array by copy (Chrome 110)": r"\.to(?:Sorted|Reversed|Spliced)\(",
    "Object.groupBy (Chrome 117)": r"Object\.groupBy\(",
    "Promise.withResolvers (Chrome 119)": r"Promise\.withResolvers",
    "AbortSignal.timeout or any (Safari 16, 17.4)": r"AbortSignal\.(?:timeout|any)\(",
    "class static blocks (Safari 16.4)": r"static\s*\{",
    "look behind (Safari 16.4)": r"\(\?<[=!]",
    "checkVisibility (Safari 17.4)": r"\.checkVisibility\(",
    "set methods (Chrome 122)": r"\.(?:isSubsetOf|symmetricDifference)\(",
}


@pytest.mark.parametrize(("feature", "pattern"), ABOVE_THE_FLOOR_IN_CSS.items())
def test_styles_keep_to_the_floor(feature: str, pattern: str) -> None:
    sheets = built(".css")
    assert {"styles/public.css", "styles/room.css"} <= set(sheets)
    found = {name: match[0] for name, css in sheets.items() if (match := re.search(pattern, css))}
    assert found == {}, feature


def test_has_is_used_only_where_nothing_is_lost_without_it() -> None:
    rules = {rule for css in built(".css").values() for rule in re.findall(r"([^{},;]*:has\([^{]*)\{", css)}
    assert {one for rule in rules for one in rule.split(",")} <= HAS_ONLY_ENHANCES


def test_container_queries_change_only_what_may_stay_as_it_is() -> None:
    blocks = [
        block
        for css in built(".css").values()
        for block in re.findall(r"@container[^{]*\{((?:[^{}]*\{[^{}]*\})+)\}", css)
    ]
    assert blocks
    declared = {name for block in blocks for name in re.findall(r"[{;]\s*([\w-]+)\s*:", block)}
    assert declared <= CONTAINERS_ONLY_ENHANCE


@pytest.mark.parametrize(("feature", "pattern"), ABOVE_THE_FLOOR_IN_JS.items())
def test_scripts_keep_to_the_floor(feature: str, pattern: str) -> None:
    scripts = built(".js")
    assert {f"islands/{one}.ts" for one in ("live", "pickers", "dialogs", "toasts", "charts")} <= set(scripts)
    found = {name: match[0] for name, text in scripts.items() if (match := re.search(pattern, text))}
    assert found == {}, feature


@pytest.mark.parametrize(
    ("css", "feature"),
    [
        ("@layer base{a{color:red}}", "cascade layers (Safari 15.4)"),
        ("@media (width>=48rem){a{color:red}}", "media ranges (Safari 16.4)"),
        (".a{color:red;&:hover{color:blue}}", "nesting (Chrome 112, Safari 16.5)"),
        (".a{height:100dvh}", "dynamic viewport units (Safari 15.4)"),
    ],
)
def test_the_check_of_the_floor_sees_what_it_must_see(css: str, feature: str) -> None:
    assert re.search(ABOVE_THE_FLOOR_IN_CSS[feature], css)


def test_nothing_is_set_in_capitals_or_spread() -> None:
    for name, css in built(".css").items():
        assert not re.search(r"text-transform:\s*uppercase|letter-spacing:\s*[^0n]", css), name


# --- the page ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/_design", "/en/_design", "/_design/hoi", "/_design/tuong"])
async def test_the_page_is_whole_without_a_script_and_in_no_index(web: Client, path: str) -> None:
    page = await web.page(path)
    assert page.status == 200
    assert page.header("x-robots-tag") == "noindex"
    assert page.text.count("<h1") == 1
    assert re.findall(r"\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)", page.text) == []
    ids = re.findall(r'\sid="([^"]+)"', page.text)
    assert len(ids) == len(set(ids)), sorted({one for one in ids if ids.count(one) > 1})


async def test_it_shows_every_section_in_both_themes_and_no_pair_that_fails(web: Client) -> None:
    page = (await web.page("/en/_design")).text
    for anchor in SECTION_TITLES:
        assert f'<h2 id="{anchor}">' in page
    assert page.count('data-theme="night"') >= 10
    assert "passes" in page
    assert "fails" not in page
    for target in set(re.findall(r'(?:for|aria-describedby|aria-labelledby|href)="#?([\w -]+)"', page)):
        for one in target.split():
            assert f'id="{one}"' in page, one


async def test_it_is_translated_whole(web: Client, house: House) -> None:
    before = house.translations.missing_total
    for path in ("/_design", "/_design/hoi", "/_design/tuong"):
        await web.page(path)
    await send(web, {})
    await send(web, {"name": "A", "day": "31/02/2026", "unit": "không có đâu"})
    assert house.translations.missing_total == before, list(house.translations.missing)


@pytest.mark.parametrize("order", ["name", "-name", "value", "-value", "count", "-count", "nonsense", "'"])
async def test_tables_sort_by_links_and_what_is_missing_stands_last(web: Client, order: str) -> None:
    page = await web.page(f"/_design?{urlencode({'order': order})}")
    assert page.status == 200
    names = re.findall(r'<th scope="row"><span class="nowrap">(Trạm .)</span></th>', page.text)[:4]
    assert sorted(names, key=fold) == ["Trạm A", "Trạm B", "Trạm C", "Trạm Đ"]
    if "value" in order:
        assert names[-1] == "Trạm C"
        assert names[0] == ("Trạm A" if order == "value" else "Trạm Đ")
        assert f'aria-sort="{"ascending" if order == "value" else "descending"}"' in page.text


# --- the form -----------------------------------------------------------------------------------------


async def send(web: Client, values: dict[str, str], path: str = "/_design") -> Reply:
    return await web.ask(
        "POST", path, headers=[("accept", "text/html"), FORM], chunks=[urlencode(values).encode()]
    )


async def test_an_empty_form_comes_back_with_422_and_every_error_twice(web: Client) -> None:
    page = await send(web, {})
    assert page.status == 422
    for name, sentence in {
        "name": "Bạn chưa ghi tên.",
        "day": "Bạn chưa ghi ngày.",
        "kind": "Bạn chưa chọn việc gì.",
    }.items():
        assert f'<a href="#{name}">{sentence}</a>' in page.text
        assert page.text.count(sentence) == 2
        assert f'id="{name}-error"' in page.text
    assert 'role="alert"' in page.text
    assert "Còn 3 chỗ cần sửa" in page.text


async def test_what_was_typed_comes_back_as_it_was_typed(web: Client) -> None:
    page = await send(web, {"name": 'Nguyễn "Thị" <b>', "day": "31/02/2026", "kind": "lamp"}, "/en/_design")
    assert page.status == 422
    assert 'value="Nguyễn &#34;Thị&#34; &lt;b&gt;"' in page.text
    assert 'value="31/02/2026"' in page.text
    assert "“31/02/2026” is not a day" in page.text
    assert re.search(r'value="lamp" checked', page.text)


async def test_a_form_without_error_is_understood_and_the_day_echoed(web: Client) -> None:
    page = await send(web, {"name": "Lan", "day": "2.7.2025", "kind": "lamp"})
    assert page.status == 200
    assert "Lan · 02/07/2025" in page.text
    assert 'role="alert"' not in page.text


async def test_a_day_before_the_first_one_and_an_unknown_unit_are_told(web: Client) -> None:
    page = await send(web, {"name": "Lan", "day": "30/06/2025", "kind": "lamp", "unit": "Atlantis"})
    assert page.status == 422
    assert "01/07/2025" in page.text
    assert "“Atlantis”" in page.text


async def test_the_form_answers_neither_what_is_no_form_nor_another_verb(web: Client) -> None:
    for body in (b"\xff\xfe=1", b"a=%ff", b"&".join(b"a=1" for _ in range(300))):
        page = await web.ask("POST", "/_design", headers=[("accept", "text/html"), FORM], chunks=[body])
        assert page.status == 422, body[:20]
        assert "Không đọc được" in page.text
    assert (await web.ask("DELETE", "/_design")).status == 405
    assert (await web.ask("POST", "/_design/hoi")).status == 405


@given(some.dates(date(1000, 1, 1)), some.sampled_from("/.- "))
def test_every_day_is_read_as_it_is_written(day: date, sign: str) -> None:
    assert read_day(f" {day.day}{sign}{day.month:02d}{sign}{day.year:04d} ") == day
    assert read_day(day.isoformat()) == day


@given(some.text(max_size=30))
def test_anything_else_is_refused_and_never_breaks(text: str) -> None:
    try:
        read_day(text)
    except DayUnreadable:
        return
    assert re.fullmatch(r"\s*\d+[/.\-\s]\d+[/.\-\s]\d+\s*", text)


@pytest.mark.parametrize(
    "text", ["", "13/13/2026", "29/02/2025", "1/2/26", "2026/01/02", "١/٢/٢٠٢٦", "0/1/2026"]
)
def test_what_is_no_day(text: str) -> None:
    with pytest.raises(DayUnreadable):
        read_day(text)


@given(some.binary(max_size=200))
def test_any_body_is_a_form_or_refused(body: bytes) -> None:
    try:
        fields = read_form(body)
    except FormUnreadable:
        return
    assert all("\x00" not in value and value == value.strip() for value in fields.values())


# --- walls ----------------------------------------------------------------------------------------------


@given(width_m=some.floats(0.5, 12), width_px=some.integers(1280, 7680), distance_m=some.floats(0.5, 20))
def test_on_a_wall_the_smallest_capital_is_high_enough_and_no_size_smaller_would_do(
    width_m: float, width_px: int, distance_m: float
) -> None:
    try:
        root = wall_root_px(width_m=width_m, width_px=width_px, distance_m=distance_m)
    except WallCannotBeRead:
        assert cap_height_m(SIZES[-1], width_m=width_m, width_px=width_px) < distance_m / SIGHT * 1.001
        return
    assert cap_height_m(root, width_m=width_m, width_px=width_px) >= distance_m / SIGHT * 0.999
    if root > SIZES[0]:
        assert cap_height_m(root - 2, width_m=width_m, width_px=width_px) < distance_m / SIGHT


def test_every_size_that_a_wall_may_get_is_in_the_style_sheet() -> None:
    css = (STYLES / "design.css").read_text("utf-8")
    assert [int(size) for size in re.findall(r'\[data-wall="(\d+)"\]', css)] == list(SIZES)


@pytest.mark.parametrize(
    "query", ["width_m=x", "distance_m=1000", "width_px=1", "width_m=0,5&width_px=9000&distance_m=0"]
)
async def test_a_wall_that_there_cannot_be_is_refused(web: Client, query: str) -> None:
    page = await web.page(f"/_design/tuong?{query}")
    assert page.status == 422
    with pytest.raises(WallSizeImpossible):
        wall_root_px(width_m=0, width_px=0, distance_m=0)


async def test_a_wall_that_is_too_small_says_so(web: Client) -> None:
    page = await web.page("/en/_design/tuong?width_m=0,6&width_px=7680&distance_m=20")
    assert page.status == 422
    assert "At 20 m the smallest word would need" in page.text


# --- charts ------------------------------------------------------------------------------------------------

values = some.none() | some.floats(0, 1e6, allow_nan=False)


@given(some.lists(values, max_size=40))
def test_a_line_stays_in_its_frame_and_breaks_where_a_value_is_missing(numbers: list[float | None]) -> None:
    points = [Point(number, str(place)) for place, number in enumerate(numbers)]
    text = line_chart(points, name="l", title="T<", description="D", unit="µg/m³", missing="-")
    chart = ET.fromstring(str(text).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))  # noqa: S314 - our own
    circles = [one for one in chart.iter() if one.get("class") == "point"]
    assert len(circles) == sum(number is not None for number in numbers)
    for one in circles:
        assert 0 <= float(one.get("cx") or "nan") <= WIDTH
        assert 0 <= float(one.get("cy") or "nan") <= HEIGHT
    runs = [
        run for run in "".join("v" if one is not None else " " for one in numbers).split() if len(run) > 1
    ]
    lines = [one.get("d", "") for one in chart.iter() if one.get("class") == "line"]
    assert [line.count("L") + 1 for line in lines] == [len(run) for run in runs]


def test_a_line_may_have_its_own_scale_with_thresholds_inside_it() -> None:
    points = [Point(15.2, "00:00"), Point(16.8, ""), Point(16.4, "02:00")]
    text = str(
        line_chart(
            points,
            name="l",
            title="T",
            description="D",
            span=(15.0, 17.0),
            thresholds=(Threshold(16.5, "BĐ2"), Threshold(17.5, "BĐ3")),
            comma=True,
        )
    )
    assert ">15<" in text
    assert ">17<" in text
    assert "BĐ2" in text
    assert "BĐ3" not in text  # outside the scale
    assert text.count('class="point"') == 2  # the one without words has no dot
    half = line_chart(points, name="l", title="T", description="D", span=(15.0, 18.0), comma=True)
    assert ">16,5<" in half


@given(some.lists(values, max_size=20))
def test_a_spark_stays_in_its_frame_and_is_silent(numbers: list[float | None]) -> None:
    text = str(spark_line(numbers))
    assert 'aria-hidden="true"' in text
    for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+) L", " L".join(re.findall(r' d="M([^"]*)"', text)) + " L"):
        assert 0 <= float(x) <= 96
        assert 0 <= float(y) <= 28


# --- maps and places -------------------------------------------------------------------------------


async def test_the_map_is_shown_in_both_themes_with_its_list_and_levels_of_packs(
    web: Client,
) -> None:
    text = (await web.page("/_design")).text
    for theme in ("day", "night"):
        assert f'aria-labelledby="map-{theme}-title map-{theme}-desc"' in text
    assert text.count("<li>Trạm 5</li>") == 2
    assert text.count("301–500 Nguy hại") == 2


async def test_the_place_picker_says_what_a_page_would_get_and_keeps_nothing(web: Client) -> None:
    page = await web.page("/en/_design/noi")
    assert "geolocation=(self)" in (page.header("permissions-policy") or "")
    assert "What a page would get" not in page.text
    body = urlencode({"longitude": "108.1", "landmark": "<b>cổng chợ</b>"}).encode()
    said = await web.ask("POST", "/en/_design/noi", headers=[("accept", "text/html"), FORM], chunks=[body])
    assert said.status == 200
    assert "What a page would get" in said.text
    assert "<dd>108.1</dd>" in said.text
    assert "&lt;b&gt;cổng chợ&lt;/b&gt;" in said.text
    assert (await web.ask("DELETE", "/_design/noi")).status == 405
