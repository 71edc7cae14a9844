"""The page of hospitals: by province and ward, with what is not known said so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isfinite
from typing import Any
from urllib.parse import quote

from haidang.kernel.actors import Audience
from haidang.kernel.instants import Instant
from haidang.kernel.text import collation_key
from haidang.sdk.model import (
    CsvTable,
    EntityView,
    LatestEntities,
    Mark,
    Page,
    PageRequest,
    SearchHit,
)

from .hospitals import ATTRIBUTION, HOSPITAL, KIND_LABELS, POINT_OF_INTEREST, RETRIEVED

LIST_PATH = "/benh-vien"
FOR_MACHINES = f"/ngsi-ld/v1/entities?type={quote(POINT_OF_INTEREST.iri, safe='')}"
_PREFIX = f"urn:ngsi-ld:{POINT_OF_INTEREST.name}:"


@dataclass(frozen=True, slots=True)
class Hospital:
    """A hospital as the page lists it; what is not known is empty or None."""

    entity_id: str
    anchor: str
    name: str
    kind: str
    province: str
    ward: str
    street: str
    telephone: str
    longitude: float | None
    latitude: float | None
    source: str

    @property
    def telephone_uri(self) -> str:
        """The number as a `tel:` address has it."""
        return "".join(sign for sign in self.telephone if sign.isdecimal() or sign == "+")


@dataclass(frozen=True, slots=True)
class Spot:
    """A hospital as the map's picture marks it: a thing without a level, its name said on pointing.

    It leads nowhere: the picture is one image to who hears the page, and the list has the ways.
    """

    longitude: float
    latitude: float
    words: str
    key: str
    label: str = ""
    colour: str = ""
    rank: int = 0
    path: str = ""
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Ward:
    """The hospitals of one ward."""

    name: str
    hospitals: tuple[Hospital, ...]


@dataclass(frozen=True, slots=True)
class Province:
    """The wards of one province that have a hospital."""

    name: str
    anchor: str
    wards: tuple[Ward, ...]

    @property
    def count(self) -> int:
        """How many hospitals."""
        return sum(len(ward.hospitals) for ward in self.wards)

    @property
    def spots(self) -> list[Spot]:
        """Where they are, as far as that is known."""
        return [
            Spot(one.longitude, one.latitude, one.name, one.entity_id)
            for ward in self.wards
            for one in ward.hospitals
            if one.longitude is not None and one.latitude is not None
        ]


def hospital_of(entity: EntityView) -> Hospital | None:
    """The hospital that an entity is, or None for another point of interest."""
    values = entity.values
    categories = values.get("category")
    kinds = categories if isinstance(categories, list) else [categories]
    kind = next((one for one in KIND_LABELS if one in kinds), None)
    if kind is None:
        return None
    address = values.get("address")
    parts = address if isinstance(address, Mapping) else {}
    contact = values.get("contactPoint")
    telephone = contact.get("telephone") if isinstance(contact, Mapping) else None
    longitude, latitude = _position(values.get("location"))
    anchor = entity.entity_id.removeprefix(_PREFIX)
    return Hospital(
        entity_id=entity.entity_id,
        anchor=anchor,
        name=str(values.get("name") or anchor),
        kind=kind,
        province=str(parts.get("addressRegion") or ""),
        ward=str(parts.get("addressLocality") or ""),
        street=str(parts.get("streetAddress") or ""),
        telephone=str(telephone or ""),
        longitude=longitude,
        latitude=latitude,
        source=str(values.get("source") or ""),
    )


def hospitals_of(request: PageRequest) -> list[Hospital]:
    """Every hospital, in Vietnamese order of province, ward and name; hospitals before medical centres."""
    found = [one for entity in request.results["hospitals"] if (one := hospital_of(entity)) is not None]
    return sorted(
        found,
        key=lambda one: (
            collation_key(one.province),
            collation_key(one.ward),
            one.kind != HOSPITAL,
            collation_key(one.name),
        ),
    )


def provinces_of(hospitals: Sequence[Hospital]) -> list[Province]:
    """The same hospitals, gathered by province and ward."""
    provinces = []
    for place, (name, inside) in enumerate(groupby(hospitals, key=lambda one: one.province)):
        wards = tuple(Ward(ward, tuple(found)) for ward, found in groupby(inside, key=lambda one: one.ward))
        provinces.append(Province(name, f"tinh-{place + 1}", wards))
    return provinces


def view(request: PageRequest) -> Mapping[str, Any]:
    """What the template shows."""
    hospitals = hospitals_of(request)
    return {
        "hospitals": hospitals,
        "hospital_count": sum(one.kind == HOSPITAL for one in hospitals),
        "provinces": provinces_of(hospitals),
        "without_telephone": sum(not one.telephone for one in hospitals),
        "attribution": ATTRIBUTION,
        "retrieved": RETRIEVED,
        "for_machines": FOR_MACHINES,
    }


def table(request: PageRequest) -> CsvTable:
    """One row a hospital, with where it comes from and under which licence beside it."""
    return CsvTable(
        "benh-vien",
        (
            "id", "name", "kind", "province", "ward", "street", "telephone", "latitude", "longitude",
            "source", "licence",
        ),
        [
            (
                one.entity_id, one.name, one.kind, one.province, one.ward, one.street or None,
                one.telephone or None, one.latitude, one.longitude, one.source, ATTRIBUTION,
            )
            for one in hospitals_of(request)
        ],
    )  # fmt: skip


def mark(entity: EntityView, _now: Instant, _locale: str) -> Mark | None:
    """How a hospital stands on a map."""
    found = hospital_of(entity)
    return None if found is None else Mark(found.name, path=f"{LIST_PATH}#{found.anchor}")


def hit(entity: EntityView, _locale: str) -> SearchHit | None:
    """How a search lists a hospital."""
    found = hospital_of(entity)
    if found is None:
        return None
    detail = ", ".join(part for part in (found.street, found.ward, found.province) if part)
    return SearchHit(found.name, f"{LIST_PATH}#{found.anchor}", detail)


def _position(location: Any) -> tuple[float | None, float | None]:
    """Longitude and latitude of a GeoJSON point; nothing for anything else."""
    position = location.get("coordinates") if isinstance(location, Mapping) else None
    if not isinstance(position, Sequence) or isinstance(position, str) or len(position) < 2:
        return None, None
    if not all(isinstance(one, int | float) and isfinite(one) for one in position[:2]):
        return None, None
    return float(position[0]), float(position[1])


PAGES = (
    Page(
        page_id="hospitals",
        path=LIST_PATH,
        title="Hospitals",
        summary="Where the hospitals and medical centres are, ward by ward.",
        audience=Audience.PUBLIC,
        queries=(LatestEntities("hospitals", POINT_OF_INTEREST.name),),
        template="hospitals.html",
        view=view,
        csv=table,
    ),
)
