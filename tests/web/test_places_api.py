"""Places for programs: the documented examples hold, limits are kept, and what is wrong is a problem."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from shapely.geometry import shape

from haidang.places.changing import _new_unit_id
from haidang.places.errors import UnitUnknown
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from haidang.web.shared.units import slug_of, unit_id_of
from tests.system.rooms import ROOT
from tests.web.client import Client, Reply

PAGE = (ROOT / "docs" / "reference" / "places-api.md").read_text("utf-8")
EXAMPLES = re.findall(r"```text\nGET (\S+)\n```\n\n```json\n(.+?)\n```", PAGE, re.DOTALL)
POSTED = re.findall(r"```text\nPOST (\S+)\n(.+?)\n```\n\n```json\n(.+?)\n```", PAGE, re.DOTALL)
JSON_SENT = ("content-type", "application/json")
LAM_DONG = "tinh-lam-dong"


def holds(shown: Any, found: Any) -> bool:
    """Whether what is shown is part of what was found: named fields, the first of a list."""
    match shown:
        case dict():
            return isinstance(found, dict) and all(
                name in found and holds(value, found[name]) for name, value in shown.items()
            )
        case list():
            return isinstance(found, list) and all(
                holds(one, other) for one, other in zip(shown, found, strict=False)
            )
        case _:
            return bool(shown == found)


@pytest.mark.parametrize(("asked", "shown"), EXAMPLES, ids=[one for one, _ in EXAMPLES])
async def test_the_documented_examples_hold(country_web: Client, asked: str, shown: str) -> None:
    reply = await country_web.get(quote(asked, safe="/?=&+,%"))
    assert holds(orjson.loads(shown), reply.json), reply.text[:2000]


@pytest.mark.parametrize(("path", "body", "shown"), POSTED, ids=[one for one, _, _ in POSTED])
async def test_the_documented_reckonings_hold(country_web: Client, path: str, body: str, shown: str) -> None:
    reply = await country_web.ask("POST", path, headers=[JSON_SENT], chunks=[body.encode()])
    assert reply.status == 200
    assert holds(orjson.loads(shown), reply.json), reply.text[:2000]


def test_the_page_names_every_route_and_has_examples(country_house: House) -> None:
    assert len(EXAMPLES) >= 9
    assert len(POSTED) == 2
    portal = build_application(country_house)._portal
    paths = {route.path for route in portal.routes if route.path.startswith("/api/places")}  # type: ignore[attr-defined]
    assert len(paths) == 10
    for path in paths:
        assert f"`{re.sub(r'{.*}', '{id}', path)}`" in PAGE


async def test_units_are_listed_below_a_parent(country_web: Client) -> None:
    wards = (await country_web.get(f"/api/places/units?parent={LAM_DONG}")).json["units"]
    assert len(wards) == 124
    assert {one["level"] for one in wards} == {"ward"}
    by_id = {one["id"]: one for one in wards}
    assert by_id["urn:haidang:unit:phuong-phu-thuy-lam-dong"]["population"] is None
    districts = await country_web.get("/api/places/units?parent=tinh-binh-thuan&on=30/06/2025&level=district")
    assert "Thành phố Phan Thiết" in {one["full_name"] for one in districts.json["units"]}
    whole = await country_web.get("/api/places/units")
    assert len(whole.json["units"]) == 34
    assert whole.header("cache-control") == "public, max-age=300"


async def test_outlines_are_geojson_that_holds_its_own_label_points(country_web: Client) -> None:
    reply = await country_web.get(f"/api/places/outlines?parent={LAM_DONG}")
    assert reply.header("content-type") == "application/geo+json"
    assert reply.json["attribution"]
    features = {one["id"]: one for one in reply.json["features"]}
    ward = features["urn:haidang:unit:phuong-phan-thiet-lam-dong"]
    assert ward["properties"]["outline_accuracy_m"] == 5
    assert shape(ward["geometry"]).is_valid
    old = await country_web.get("/api/places/outlines?parent=thanh-pho-phan-thiet-binh-thuan&on=2025-06-30")
    assert {one["geometry"] for one in old.json["features"]} == {None}


async def test_a_point_knows_its_unit_its_edge_and_its_province_of_old(country_web: Client) -> None:
    at = "longitude=109,224&latitude=13,776"
    now = (await country_web.get(f"/api/places/unit-at?{at}")).json
    assert now["unit"]["full_name"] == "Phường Quy Nhơn"
    assert now["above"][0]["full_name"] == "Tỉnh Gia Lai"
    assert now["metres_to_edge"] > 0
    before = (await country_web.get(f"/api/places/unit-at?{at}&on=2025-06-30&level=province")).json
    assert before["unit"]["full_name"] == "Tỉnh Bình Định"
    unknown = (await country_web.get(f"/api/places/unit-at?{at}&on=2025-06-30")).json
    assert unknown["unit"] is None


async def test_reasons_come_in_the_askers_language_and_are_kept_by_nobody_else(country_web: Client) -> None:
    asked = "/api/places/resolve?text=" + quote("phường Lạc Đạo, Phan Thiết")
    vietnamese = await country_web.get(asked, ("accept-language", "vi"))
    assert "đã nhập toàn bộ vào" in vietnamese.json["candidates"][0]["why"]
    english = await country_web.get(asked)
    assert "went whole into" in english.json["candidates"][0]["why"]
    assert "private" in (english.header("cache-control") or "")


async def test_nobody_gets_twice_what_he_has(country_web: Client) -> None:
    for path in ("units", "outlines", "units/tinh-lam-dong", "search?q=phan", "areas", "areas/lam-dong-cu"):
        first = await country_web.get(f"/api/places/{path}")
        etag = first.header("etag")
        assert etag
        assert (await country_web.get(f"/api/places/{path}", ("if-none-match", etag))).status == 304


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ("units?on=yesterday", 422, "date-unreadable"),
        ("units?on=2025-13-01", 422, "date-unreadable"),
        ("units?level=hamlet", 422, "level-unknown"),
        ("units?level=ward", 422, "wards-need-parent"),
        ("units?parent=nowhere", 404, "unit-unknown"),
        ("units?parent=" + "x" * 9_000, 404, "unit-unknown"),
        ("units/urn:haidang:unit:nowhere", 404, "unit-unknown"),
        ("units/%00", 404, "unit-unknown"),
        ("unit-at", 422, "point-needed"),
        ("unit-at?longitude=1", 422, "position-half-given"),
        ("unit-at?longitude=nan&latitude=1", 422, "number-unreadable"),
        ("unit-at?longitude=181&latitude=1", 422, "number-unreadable"),
        ("resolve?text=" + "a" * 10_000, 422, "text-too-long"),
        ("resolve?text=a&within=nowhere", 404, "unit-unknown"),
        ("search?q=" + "a" * 301, 422, "text-too-long"),
        ("outlines?level=ward", 422, "wards-need-parent"),
        ("areas/nowhere", 404, "reporting-area-unknown"),
        ("areas/%00", 404, "reporting-area-unknown"),
        ("areas/binh-thuan-cu?on=yesterday", 422, "date-unreadable"),
    ],
)
async def test_what_is_wrong_is_a_problem(country_web: Client, asked: str, status: int, code: str) -> None:
    reply = await country_web.get(f"/api/places/{asked}", ("accept-language", "vi"))
    assert (reply.status, reply.json["type"]) == (status, f"urn:haidang:problem:{code}")
    assert reply.header("content-type") == "application/problem+json"
    assert "\x00" not in reply.text


@pytest.mark.parametrize("typed", ["", "%00%01", "%27;DROP TABLE places.unit;--", "<script>", "%ff%fe", "𝕻"])
async def test_hostile_text_finds_nothing_and_breaks_nothing(country_web: Client, typed: str) -> None:
    typed = quote(typed, safe="%")
    resolved = await country_web.get(f"/api/places/resolve?text={typed}")
    assert (resolved.status, resolved.json["outcome"]) == (200, "none")
    assert (await country_web.get(f"/api/places/search?q={typed}")).status == 200


@pytest.mark.parametrize(
    "path", ["units", "units/x", "unit-at", "resolve", "search", "outlines", "areas", "areas/x"]
)
async def test_nothing_can_be_written_there(country_web: Client, path: str) -> None:
    reply = await country_web.ask("POST", f"/api/places/{path}")
    assert reply.status == 405
    assert reply.json["type"] == "urn:haidang:problem:method-not-offered"


async def send(web: Client, path: str, sent: Any, *headers: tuple[str, str]) -> Reply:
    """What is posted as JSON; bytes as they are."""
    body = sent if isinstance(sent, bytes) else orjson.dumps(sent)
    return await web.ask("POST", f"/api/places/{path}", headers=[JSON_SENT, *headers], chunks=[body])


async def test_a_reporting_area_has_its_wards_of_a_day(country_web: Client) -> None:
    areas = (await country_web.get("/api/places/areas")).json["areas"]
    assert "urn:haidang:reporting-area:binh-thuan-cu" in {one["id"] for one in areas}
    parts = [
        (await country_web.get(f"/api/places/areas/{name}-cu")).json["units"]
        for name in ("binh-thuan", "dak-nong", "lam-dong")
    ]
    today = {one["id"] for part in parts for one in part}
    assert len(today) == 124
    before = (await country_web.get("/api/places/areas/binh-thuan-cu?on=2025-06-30")).json
    assert "Phường Lạc Đạo" in {one["full_name"] for one in before["units"]}


async def test_a_former_district_answers_through_its_wards_and_nothing_else_does(country_web: Client) -> None:
    district = (await country_web.get("/api/places/units/thanh-pho-phan-thiet-binh-thuan")).json
    assert district["became"] == []
    assert {"Phường Phan Thiết", "Phường Mũi Né"} <= {
        one["full_name"] for one in district["became_through_wards"]
    }
    for other in (
        "units/phuong-lac-dao-phan-thiet-binh-thuan",
        "units/tinh-lam-dong",
        "units/thanh-pho-phan-thiet-binh-thuan?on=2025-06-30",
    ):
        assert (await country_web.get(f"/api/places/{other}")).json["became_through_wards"] == []


async def test_people_in_a_drawn_ward_are_an_estimate_that_names_what_it_lacks(country_web: Client) -> None:
    features = (await country_web.get(f"/api/places/outlines?parent={LAM_DONG}")).json["features"]
    outlines = {one["id"].rpartition(":")[2]: one for one in features}
    reply = await send(
        country_web, "people", outlines["phuong-phan-thiet-lam-dong"], ("accept-language", "vi")
    )
    found = reply.json
    assert found["estimate"] is True
    assert "Ước tính" in found["note"]
    assert found["people"] == pytest.approx(85_493, rel=1e-2)
    assert found["covered"] == pytest.approx(1, abs=1e-2)
    assert (reply.header("cache-control"), reply.header("etag")) == ("no-store", None)
    missing = (await send(country_web, "people", outlines["phuong-phu-thuy-lam-dong"]["geometry"])).json
    assert "Phường Phú Thuỷ" in {one["full_name"] for one in missing["without_figure"]}
    assert missing["counted"] < 0.1 < missing["covered"]


async def test_what_is_re_based_and_what_is_not_are_together_what_was_sent(country_web: Client) -> None:
    figures = [
        {"unit": "phuong-lac-dao-phan-thiet-binh-thuan", "amount": "0.1"},
        {"unit": "xa-hoa-thang-bac-binh-binh-thuan", "amount": 100},
    ]
    whole = (await send(country_web, "rebase", {"figures": figures, "to": "2026-11-22"})).json
    assert [one["amount"] for one in whole["amounts"]] == ["0.1"]
    assert whole["not_placed"][0]["why"] == "split"
    assert len(whole["not_placed"][0]["candidates"]) == 2
    for how in ("whole", "by-share"):
        sent = {"figures": figures, "to": "2026-11-22", "how": how}
        found = (await send(country_web, "rebase", sent)).json
        amounts = [Decimal(one["amount"]) for part in ("amounts", "not_placed") for one in found[part]]
        assert sum(amounts) == Decimal("100.1")


SQUARE = [[108.0, 11.0], [108.1, 11.0], [108.1, 11.1], [108.0, 11.0]]
WARD = "phuong-lac-dao-phan-thiet-binh-thuan"


@pytest.mark.parametrize(
    ("path", "sent", "status", "code"),
    [
        ("people", b"", 422, "sent-unreadable"),
        ("people", b"[" * 5_000, 422, "sent-unreadable"),
        ("people", [], 422, "geometry-malformed"),
        ("people", {"type": "Feature"}, 422, "geometry-malformed"),
        ("people", {"type": "Point", "coordinates": [108, 11]}, 422, "area-not-drawn"),
        ("people", {"type": "Polygon", "coordinates": [SQUARE[:3]]}, 422, "ring-too-short"),
        ("people?on=yesterday", {"type": "Polygon", "coordinates": [SQUARE]}, 422, "date-unreadable"),
        (
            "people",
            {"type": "Polygon", "coordinates": [[[102, 8], [110, 8], [110, 24], [102, 8]]]},
            422,
            "area-too-wide",
        ),
        ("people", b" " * (2 * 1024 * 1024 + 1), 413, "body-too-large"),
        ("rebase", b"{", 422, "sent-unreadable"),
        ("rebase", {"figures": {}}, 422, "sent-unreadable"),
        ("rebase", {"figures": [], "how": "somehow"}, 422, "sent-unreadable"),
        ("rebase", {"figures": [{"unit": WARD, "amount": "NaN"}]}, 422, "figure-out-of-range"),
        ("rebase", {"figures": [{"unit": WARD, "amount": "1e15"}]}, 422, "figure-out-of-range"),
        ("rebase", {"figures": [{"unit": WARD, "amount": "1e-7"}]}, 422, "figure-out-of-range"),
        ("rebase", {"figures": [{"unit": WARD, "amount": 1}] * 2}, 422, "figure-twice"),
        ("rebase", {"figures": [{"unit": WARD, "amount": 1}] * 12_001}, 422, "too-many-figures"),
        ("rebase", {"figures": [{"unit": "nowhere", "amount": 1}]}, 404, "unit-unknown"),
        ("rebase", {"figures": [], "to": "yesterday"}, 422, "date-unreadable"),
    ],
)
async def test_what_cannot_be_reckoned_is_a_problem(
    country_web: Client, path: str, sent: Any, status: int, code: str
) -> None:
    reply = await send(country_web, path, sent, ("accept-language", "vi"))
    assert (reply.status, reply.json["type"]) == (status, f"urn:haidang:problem:{code}")


@pytest.mark.parametrize("path", ["people", "rebase"])
async def test_a_reckoning_wants_json_a_good_token_or_none_and_is_no_page(
    country_web: Client, path: str
) -> None:
    form = await country_web.ask("POST", f"/api/places/{path}", chunks=[b"{}"])
    assert (form.status, form.json["type"]) == (422, "urn:haidang:problem:json-needed")
    wrong = await send(country_web, path, {}, ("authorization", "Bearer wrong"))
    assert wrong.status == 401
    assert (await country_web.get(f"/api/places/{path}")).status == 405


def test_a_unit_of_the_longest_name_still_has_an_address() -> None:
    unit_id = _new_unit_id("Xã " + "Dài " * 74, "22945", date(2026, 12, 1))
    assert len(slug_of(unit_id)) > 300
    assert unit_id_of(slug_of(unit_id)) == unit_id
    with pytest.raises(UnitUnknown):
        unit_id_of("x" * 496)


class _Away:
    """A database that nobody can reach."""

    def acquire(self) -> Any:
        raise OSError("away")


async def test_without_the_database_it_says_when_to_come_again(country_house: House) -> None:
    away = Client(build_application(replace(country_house, pool=_Away())))
    reply = await away.get("/api/places/units")
    assert reply.status == 503
    assert reply.header("retry-after") == "10"
