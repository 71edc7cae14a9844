"""Charts drawn on the server: well-formed, inside their frame, honest about gaps and scale."""

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as some

from haidang.packs.environment.pages import bands
from haidang.sdk.charts import Band, Bar
from haidang.web.shared.charts import HEIGHT, WIDTH, bar_chart
from haidang.web.shared.levels import NIGHT, contrast, level_shape, needs_plate

SVG = "{http://www.w3.org/2000/svg}"
LEVELS = bands("vi")


def drawn(bars: list[Bar], levels: list[Band] | None = None, **more: object) -> ET.Element:
    """The chart, parsed: it has to be well-formed."""
    text = bar_chart(
        bars,
        LEVELS if levels is None else levels,
        name="c",
        title="T",
        description="D",
        **more,  # type: ignore[arg-type]
    )
    return ET.fromstring(str(text).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))  # noqa: S314 - our own


def of_class(chart: ET.Element, name: str) -> list[ET.Element]:
    return [one for one in chart.iter() if one.get("class") == name]


numbers = some.floats(min_value=0, max_value=600, allow_nan=False)
texts = some.text(
    some.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20
)


@given(some.lists(some.builds(Bar, some.none() | numbers, some.just("#00e400"), texts, texts), max_size=40))
def test_every_value_is_a_bar_inside_the_frame_and_every_gap_a_dashed_line(bars: list[Bar]) -> None:
    chart = drawn(bars, at_least=100.0)
    assert len(of_class(chart, "bar")) == sum(bar.value is not None for bar in bars)
    assert len(of_class(chart, "gap")) == sum(bar.value is None for bar in bars)
    for bar in (*of_class(chart, "bar"), *of_class(chart, "band")):
        x, y, width, height = (float(bar.get(name) or "nan") for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + width <= WIDTH
        assert 0 <= y <= y + height <= HEIGHT + 0.1
        assert height > 0


def test_it_is_named_described_and_says_each_value() -> None:
    chart = drawn(
        [Bar(61, "#ffff00", "16:00 · 61 Trung bình", "16:00"), Bar(None, "", "17:00")], missing="không có"
    )
    assert chart.get("role") == "img"
    assert chart.get("aria-labelledby") == "c-title c-desc"
    titles = [one.text for one in chart.iter(f"{SVG}title")]
    assert titles == ["T", "16:00 · 61 Trung bình", "17:00 · không có"]
    assert [one.text for one in chart.iter(f"{SVG}desc")] == ["D"]


def test_a_clean_day_does_not_look_like_a_bad_one() -> None:
    (bar,) = of_class(drawn([Bar(20, "#00e400", "")], at_least=100.0), "bar")
    assert float(bar.get("height") or 0) < HEIGHT / 4


def test_the_scale_ends_with_the_level_that_is_reached() -> None:
    words = [one.text for one in drawn([Bar(120, "#ff7e00", "")]).iter(f"{SVG}text")]
    assert "Kém" in words
    assert "Xấu" not in words


def test_no_value_at_all_is_said_in_words() -> None:
    assert "không có chỉ số" in [
        one.text
        for one in drawn([Bar(None, "", "1"), Bar(None, "", "2")], missing="không có chỉ số").iter(
            f"{SVG}text"
        )
    ]


def test_markup_in_words_is_text() -> None:
    chart = drawn([Bar(1, '"><script>', "<b>", "</svg>")], [Band(10, "#fff", "<i>")])
    assert not list(chart.iter(f"{SVG}script"))


def test_words_on_a_level_are_readable_or_stand_on_a_plate() -> None:
    for band in LEVELS:
        ground = "#ffffff" if needs_plate(band.colour) else band.colour
        assert contrast(ground, NIGHT) >= 4.5, band.word
    assert [band.word for band in LEVELS if needs_plate(band.colour)] == ["Rất xấu", "Nguy hại"]


def test_each_level_has_a_shape_of_its_own() -> None:
    assert len({level_shape(rank) for rank in range(1, 7)}) == 6
    assert level_shape(99) == level_shape(6)
