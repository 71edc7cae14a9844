"""Translations: every catalogue merged, English as the message id, what is missing counted."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.infra.http import URL_MESSAGES, UrlUnusable
from haidang.infra.telemetry import metrics_page
from haidang.infra.translations import (
    CatalogueBroken,
    Translations,
    choose_locale,
    clock_text,
    date_text,
    moment_text,
    number_text,
    room_folders,
)
from haidang.kernel.errors import Invalid, NotFound

HEADER = (
    'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    '"Plural-Forms: nplurals={forms};\\n"\n\n'
)


class PumpTooWarm(Invalid):
    """Pump {pump_id} is at {warmth} °C since {since}."""


def catalogue(folder: Path, text: str, *, locale: str = "vi", forms: str = "1; plural=0") -> Path:
    (folder / "locale").mkdir(parents=True, exist_ok=True)
    (folder / "locale" / f"{locale}.po").write_text(HEADER.format(forms=forms) + text, encoding="utf-8")
    return folder


def test_catalogues_of_several_rooms_are_one(tmp_path: Path) -> None:
    first = catalogue(tmp_path / "one", 'msgid "Air"\nmsgstr "Không khí"\n')
    second = catalogue(tmp_path / "two", 'msgid "Water"\nmsgstr "Nước"\n')
    translations = Translations.load([first, second])
    assert translations.gettext("vi", "Air") == "Không khí"
    assert translations.gettext("vi", "Water") == "Nước"
    assert translations.gettext("en", "Water") == "Water"
    assert translations.clashes == []


def test_the_first_catalogue_wins_and_the_clash_is_named(tmp_path: Path) -> None:
    first = catalogue(tmp_path / "one", 'msgid "Fair"\nmsgstr "Hội chợ"\n')
    second = catalogue(tmp_path / "two", 'msgid "Fair"\nmsgstr "Công bằng"\n')
    translations = Translations.load([first, second])
    assert translations.gettext("vi", "Fair") == "Hội chợ"
    assert translations.clashes == [("vi", "Fair")]


def test_a_context_keeps_two_meanings_apart(tmp_path: Path) -> None:
    folder = catalogue(
        tmp_path, 'msgctxt "month"\nmsgid "May"\nmsgstr "Tháng Năm"\n\nmsgid "May"\nmsgstr "Có thể"\n'
    )
    translations = Translations.load([folder])
    assert translations.pgettext("vi", "month", "May") == "Tháng Năm"
    assert translations.gettext("vi", "May") == "Có thể"


def test_plural_forms_follow_the_catalogue(tmp_path: Path) -> None:
    rule = "3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2)"
    folder = catalogue(
        tmp_path,
        'msgid "{n} day"\nmsgid_plural "{n} days"\n'
        'msgstr[0] "{n} день"\nmsgstr[1] "{n} дня"\nmsgstr[2] "{n} дней"\n',
        locale="ru",
        forms=rule,
    )
    translations = Translations.load([folder])
    said = [translations.ngettext("ru", "{n} day", "{n} days", n, n=n) for n in (1, 3, 5, 21)]
    assert said == ["1 день", "3 дня", "5 дней", "21 день"]
    assert translations.ngettext("en", "{n} day", "{n} days", 1, n=1) == "1 day"
    assert translations.ngettext("en", "{n} day", "{n} days", 0, n=0) == "0 days"


def test_what_vietnamese_lacks_is_shown_in_english_and_counted(tmp_path: Path) -> None:
    translations = Translations.load([catalogue(tmp_path, 'msgid "Air"\nmsgstr ""\n')])
    before = counted()
    assert translations.gettext("vi", "Air") == "Air"
    assert translations.gettext("vi", "Air") == "Air"
    assert translations.gettext("en", "Air") == "Air"
    assert translations.missing == {("vi", "Air"): 2}
    assert translations.missing_total == 2
    assert counted() == before + 2


def counted() -> float:
    """What /metrics says of missing Vietnamese."""
    page = metrics_page()[0].decode()
    found = re.search(r'haidang_translations_missing_total\{locale="vi"\} (\S+)', page)
    return float(found[1]) if found else 0.0


def test_a_doubtful_translation_is_not_used(tmp_path: Path) -> None:
    translations = Translations.load([catalogue(tmp_path, '#, fuzzy\nmsgid "Air"\nmsgstr "Khí"\n')])
    assert translations.gettext("vi", "Air") == "Air"


def test_text_is_composed_as_vietnamese_is_searched(tmp_path: Path) -> None:
    translations = Translations.load([catalogue(tmp_path, 'msgid "Sea"\nmsgstr "bie\u0302\u0309n"\n')])
    assert translations.gettext("vi", "Sea") == "biển"


def test_a_field_that_was_not_given_shows_as_a_dash(tmp_path: Path) -> None:
    translations = Translations.load(
        [catalogue(tmp_path, 'msgid "At {place}"\nmsgstr "Tại {place}, {hour}"\n')]
    )
    assert translations.gettext("vi", "At {place}", place="Mũi Né") == "Tại Mũi Né, –"


def test_an_error_speaks_the_language_of_its_reader(tmp_path: Path) -> None:
    text = f'msgid "{PumpTooWarm.message_id()}"\nmsgstr "Bơm {{pump_id}} nóng {{warmth}} °C từ {{since}}."\n'
    translations = Translations.load([catalogue(tmp_path, text)])
    error = PumpTooWarm(pump_id="P7", warmth=61.5, since=datetime(2026, 11, 21, 10, 5, tzinfo=UTC))
    assert translations.translate_error(error, "vi") == "Bơm P7 nóng 61,5 °C từ 17:05, 21/11/2026."
    assert translations.translate_error(error, "en") == "Pump P7 is at 61.5 °C since 17:05, 21/11/2026."
    assert translations.translate_error(PumpTooWarm(), "en") == "Pump – is at – °C since –."


def test_a_reason_within_an_error_is_translated_too() -> None:
    translations = Translations.load()
    error = UrlUnusable(url="ftp://x", reason=URL_MESSAGES["scheme"])
    said = translations.translate_error(error, "vi")
    assert said == "Không dùng được địa chỉ ftp://x: địa chỉ không bắt đầu bằng http:// hoặc https://."
    assert translations.missing_total == 0


def test_a_broken_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueBroken, match=r"vi\.po"):
        Translations.load([catalogue(tmp_path / "one", 'msgid "a"\nmsgid "b"\nmsgstr "c"\n')])
    folder = catalogue(tmp_path / "two", "")
    (folder / "locale" / "vi.po").write_bytes(b'msgid "a"\nmsgstr "\xff"\n')
    with pytest.raises(CatalogueBroken, match=r"vi\.po"):
        Translations.load([folder])
    with pytest.raises(CatalogueBroken, match=r"tlh-none\.po"):
        Translations.load([catalogue(tmp_path / "three", "", locale="tlh-none")])


def test_the_rooms_of_this_house_are_found_and_agree() -> None:
    assert {"infra", "kernel"} <= {folder.name for folder in room_folders()}
    translations = Translations.load()
    assert translations.clashes == []
    assert translations.translate_error(NotFound(), "vi") == "Không tìm thấy nội dung này."


@pytest.mark.parametrize(
    ("wanted", "accepted", "chosen"),
    [
        ("en", "vi", "en"),
        (None, "en-GB,en;q=0.9,vi;q=0.8", "en"),
        (None, "fr, vi;q=0.5, en;q=0.4", "vi"),
        (None, "en;q=0, vi", "vi"),
        (None, "en;q=nonsense", "vi"),
        (None, None, "vi"),
        ("fr", "", "vi"),
    ],
)
def test_a_page_is_in_the_language_asked_for(wanted: str | None, accepted: str | None, chosen: str) -> None:
    assert choose_locale(wanted, accepted) == chosen


@pytest.mark.parametrize(
    ("value", "digits", "vietnamese", "english"),
    [
        (1234.5, 1, "1.234,5", "1,234.5"),
        (1234567, None, "1.234.567", "1,234,567"),
        (0.1 + 0.2, 2, "0,30", "0.30"),
        (2.5, 0, "3", "3"),
        (-2.5, 0, "-3", "-3"),
        (-0.04, 1, "0,0", "0.0"),
        (41.2, None, "41,2", "41.2"),
        (7.0, None, "7", "7"),
        (1e22, None, "10.000.000.000.000.000.000.000", "10,000,000,000,000,000,000,000"),
        (None, 1, "–", "–"),
        (float("nan"), 1, "–", "–"),
    ],
)
def test_figures_are_written_as_people_write_them(
    value: float | None, digits: int | None, vietnamese: str, english: str
) -> None:
    assert number_text(value, digits, "vi") == vietnamese
    assert number_text(value, digits, "en") == english


@given(st.floats(allow_nan=False, allow_infinity=False), st.none() | st.integers(0, 6))
def test_any_number_can_be_written(value: float, digits: int | None) -> None:
    written = number_text(value, digits, "en")
    if digits is None:
        assert float(written.replace(",", "")) == value
    else:
        assert len(written.partition(".")[2]) == digits


def test_hours_and_days_are_those_of_vietnam() -> None:
    late = datetime(2026, 11, 21, 17, 5, tzinfo=UTC)
    assert clock_text(late) == "00:05"
    assert date_text(late) == "22/11/2026"
    assert date_text(date(2026, 11, 21)) == "21/11/2026"
    assert moment_text(late) == "00:05, 22/11/2026"
