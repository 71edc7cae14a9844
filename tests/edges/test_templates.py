"""Templates: a language each, everything escaped, nothing undefined, figures as people write them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from haidang.infra.templates import AssetMissing, Assets, TemplateMissing, Templates
from haidang.infra.translations import Translations

NOW = datetime(2026, 11, 21, 10, 5, tzinfo=UTC)


def page(tmp_path: Path, source: str, **context: Any) -> dict[str, str]:
    """The page in both languages."""
    templates = house(tmp_path, {"portal/templates/page.html": source})
    return {locale: templates.render("portal/page.html", locale, **context) for locale in ("vi", "en")}


def house(tmp_path: Path, files: dict[str, str], manifest: str = "{}") -> Templates:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "manifest.json").write_text(manifest, encoding="utf-8")
    return Templates(
        Translations.load(),
        faces={"portal": tmp_path / "portal/templates"},
        packs={"sample": tmp_path / "packs/sample"},
        assets=Assets(tmp_path / "manifest.json"),
    )


def test_what_people_typed_is_escaped(tmp_path: Path) -> None:
    assert page(tmp_path, "{{ said }}", said="<script>")["vi"] == "&lt;script&gt;"


def test_a_name_that_was_not_given_is_a_mistake_and_not_a_blank(tmp_path: Path) -> None:
    with pytest.raises(UndefinedError):
        page(tmp_path, "{{ nothing }}")


def test_figures_and_moments(tmp_path: Path) -> None:
    source = (
        "{{ 1234.5|number(1) }} {{ at|clock }} {{ at|date }} {{ at|moment }} {{ at|iso }} {{ number(none) }}"
    )
    shown = page(tmp_path, source, at=NOW)
    assert shown["vi"] == "1.234,5 17:05 21/11/2026 17:05, 21/11/2026 2026-11-21T10:05:00Z –"
    assert shown["en"].startswith("1,234.5 17:05")


@pytest.mark.parametrize(
    ("age", "vietnamese", "english"),
    [
        (timedelta(seconds=59), "vừa xong", "just now"),
        (timedelta(seconds=60), "1 phút trước", "1 minute ago"),
        (timedelta(minutes=2, seconds=40), "2 phút trước", "2 minutes ago"),
        (timedelta(hours=23, minutes=59), "23 giờ trước", "23 hours ago"),
        (timedelta(days=1), "1 ngày trước", "1 day ago"),
        (timedelta(days=30), "22/10/2026", "22/10/2026"),
        (-timedelta(minutes=5), "5 phút nữa", "in 5 minutes"),
    ],
)
def test_ages(tmp_path: Path, age: timedelta, vietnamese: str, english: str) -> None:
    assert page(tmp_path, "{{ at|ago(now) }}", at=NOW - age, now=NOW) == {"vi": vietnamese, "en": english}


def test_units_are_written_by_their_symbol(tmp_path: Path) -> None:
    shown = page(tmp_path, "{{ 'GQ'|unit }}|{{ 'IE'|unit }}|{{ 'X-9'|unit }}|{{ none|unit }}{{ 'C62'|unit }}")
    assert shown == {"vi": "µg/m³|người|X-9|", "en": "µg/m³|person|X-9|"}


def test_sentences_come_from_the_catalogue(tmp_path: Path) -> None:
    source = "{{ _('just now') }}|{% trans %}just now{% endtrans %}|{{ 'just now'|label }}"
    assert page(tmp_path, source) == {"vi": "|".join(["vừa xong"] * 3), "en": "|".join(["just now"] * 3)}


def test_a_label_may_hold_a_percent_sign(tmp_path: Path) -> None:
    assert page(tmp_path, "{{ label('Humidity (%)') }}")["vi"] == "Humidity (%)"


def test_a_pack_brings_templates_and_extends_those_of_the_house(tmp_path: Path) -> None:
    templates = house(
        tmp_path,
        {
            "portal/templates/frame.html": "<main>{% block body %}{% endblock %}</main>",
            "packs/sample/templates/air.html": (
                "{% extends 'portal/frame.html' %}{% block body %}{{ locale }}{% endblock %}"
            ),
        },
    )
    assert templates.render("packs/sample/air.html", "en") == "<main>en</main>"
    assert "packs/sample/air.html" in templates.names()


def test_nothing_outside_the_folders_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    templates = house(tmp_path, {"portal/templates/page.html": ""})
    for name in ("portal/../../secret.txt", "packs/sample/../../secret.txt", "packs/other/x", "page.html"):
        with pytest.raises(TemplateMissing):
            templates.render(name, "vi")


def test_a_language_that_is_not_there_reads_as_the_first_one(tmp_path: Path) -> None:
    templates = house(tmp_path, {"portal/templates/page.html": "{{ _('just now') }}"})
    assert templates.render("portal/page.html", "fr") == "vừa xong"


def test_files_of_the_front_end_by_their_source_name(tmp_path: Path) -> None:
    manifest = """{
      "islands/chart.ts": {"file": "assets/chart-1a2b.js", "css": ["assets/chart-3c4d.css"],
                           "imports": ["_shared.js"]},
      "_shared.js": {"file": "assets/shared-5e6f.js", "css": ["assets/shared-7a8b.css"],
                     "imports": ["islands/chart.ts"]}
    }"""
    source = (
        '<script nonce="{{ nonce }}" src="{{ asset("islands/chart.ts") }}"></script>'
        '{{ styles("islands/chart.ts")|join(" ") }}'
    )
    templates = house(tmp_path, {"portal/templates/page.html": source}, manifest)
    assert templates.render("portal/page.html", "vi", nonce="n0") == (
        '<script nonce="n0" src="/static/assets/chart-1a2b.js"></script>'
        "/static/assets/shared-7a8b.css /static/assets/chart-3c4d.css"
    )
    with pytest.raises(AssetMissing):
        Assets(tmp_path / "manifest.json").url("islands/none.ts")
    with pytest.raises(AssetMissing):
        Assets(tmp_path / "nowhere.json").url("islands/chart.ts")


def test_data_for_a_script_cannot_leave_its_place(tmp_path: Path) -> None:
    shown = page(tmp_path, "<p data-props='{{ props|tojson }}'>", props={"tên": "</script>'"})
    assert shown["vi"] == '<p data-props=\'{"tên":"\\u003c/script\\u003e\\u0027"}\'>'


def test_every_template_of_the_house_compiles() -> None:
    templates = Templates(Translations.load())
    for name in templates.names():
        templates.environment("vi").get_template(name)
