"""The health pack: hospitals from a file of their own, and a page that does not claim more than it knows."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from haidang.packs.health import pages
from haidang.packs.health.hospitals import HOSPITALS, POINT_OF_INTEREST, RETRIEVED
from haidang.sdk.facts import FactsFile, read_facts
from haidang.sdk.model import EntityView, Mark, PageRequest

FOLDER = Path(pages.__file__).parent
NOON = datetime(2026, 11, 21, 5, tzinfo=UTC)


def the_file() -> FactsFile:
    return read_facts("health.hospitals", (FOLDER / HOSPITALS.file).read_bytes())


def seen(entity_id: str, values: Any) -> EntityView:
    return EntityView(entity_id, POINT_OF_INTEREST.name, values, {}, {}, {}, {}, NOON)


def everything() -> PageRequest:
    read = the_file()
    return PageRequest(
        {"hospitals": [seen(one.id, {**read.shared, **one.values}) for one in read.entities]}, {}, NOON, "vi"
    )


def test_the_file_holds_hospitals_and_medical_centres_and_no_person() -> None:
    read = the_file()
    assert read.retrieved == RETRIEVED
    kinds = [one.values["category"] for one in read.entities]
    assert (kinds.count(["hospital"]), kinds.count(["medical-centre"])) == (34, 41)
    names = [one.values["name"] for one in read.entities]
    assert "An Phước" not in names
    assert [name for name in names if not name.startswith(("Bệnh ", "BV ", "Trung tâm "))] == []
    assert "ODbL" in read.provenance
    assert read.shared["license"] == "ODbL-1.0"


def test_the_licence_lies_beside_the_file() -> None:
    notice = (FOLDER / HOSPITALS.file).with_suffix(".LICENCE.txt").read_text("utf-8")
    assert "opendatacommons.org/licenses/odbl/1-0" in notice
    assert "OpenStreetMap contributors" in notice


def test_the_page_lists_every_hospital_by_province_and_ward() -> None:
    shown = pages.view(everything())
    provinces = {one.name: one for one in shown["provinces"]}
    assert {name: one.count for name, one in provinces.items()} == {"Tỉnh Gia Lai": 44, "Tỉnh Lâm Đồng": 31}
    wards = {ward.name: ward for ward in provinces["Tỉnh Lâm Đồng"].wards}
    assert "Bệnh viện Đa khoa Bình Thuận" in [one.name for one in wards["Phường Bình Thuận"].hospitals]
    assert shown["without_telephone"] == 75
    assert len(list(pages.table(everything()).rows)) == 75


def test_another_point_of_interest_is_no_hospital() -> None:
    museum = seen("urn:ngsi-ld:PointOfInterest:x", {"name": "Bảo tàng", "category": ["museum"]})
    assert pages.hospital_of(museum) is None
    assert pages.mark(museum, NOON, "vi") is None
    assert pages.hit(museum, "vi") is None


def test_a_hospital_has_its_mark_and_is_found_with_its_address() -> None:
    clinic = seen(
        "urn:ngsi-ld:PointOfInterest:b-22960",
        {
            "name": "Bệnh viện B",
            "category": "hospital",
            "address": {"addressLocality": "Phường A", "addressRegion": "Tỉnh C"},
            "contactPoint": {"telephone": "+84 252 3822 733"},
        },
    )
    assert pages.mark(clinic, NOON, "vi") == Mark("Bệnh viện B", path="/benh-vien#b-22960")
    hit = pages.hit(clinic, "vi")
    assert hit is not None
    assert hit.detail == "Phường A, Tỉnh C"
    found = pages.hospital_of(clinic)
    assert found is not None
    assert found.telephone_uri == "+842523822733"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from([one.name for one in POINT_OF_INTEREST.attributes]), JSON))
def test_whatever_a_machine_writes_into_a_hospital_the_page_stands(values: dict[str, Any]) -> None:
    entity = seen("urn:ngsi-ld:PointOfInterest:x", {**values, "category": ["hospital"]})
    shown = pages.view(PageRequest({"hospitals": [entity]}, {}, NOON, "vi"))
    assert len(shown["hospitals"]) == 1
