"""Units, successions and resolutions as the JSON that programs are given; pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from shapely.geometry.base import BaseGeometry

from haidang.kernel.shapes import geojson_of
from haidang.places.gazetteer import NamedPlace
from haidang.places.model import Succession, Unit, UnitAt
from haidang.places.naming import Resolution, UnitFound
from haidang.web.shared.units import unit_path

_DIGITS = 5  # of a degree: about a metre, finer than any outline we hold


def unit_document(unit: Unit) -> dict[str, Any]:
    """One unit. A figure that nobody has published is null, never 0."""
    return {
        "id": unit.unit_id,
        "level": unit.level.value,
        "kind": unit.kind,
        "code": unit.code,
        "name": unit.name,
        "full_name": unit.full_name,
        "name_en": unit.name_en,
        "parent": unit.parent_id,
        "valid_from": unit.valid_from,
        "valid_to": unit.valid_to,
        "legal_basis": unit.legal_basis,
        "ended_by": unit.ended_by,
        "area_km2": None if unit.area_km2 is None else float(unit.area_km2),
        "population": unit.population,
        "population_on": unit.population_on,
        "population_doubtful": unit.population_doubtful,
        "centre": unit.centre,
        "label_point": unit.label_point,
        "outline_accuracy_m": unit.accuracy_m,
        "verified": unit.verified,
        "path": unit_path(unit.unit_id),
    }


def named(unit: Unit) -> dict[str, Any]:
    """As much of a unit as a list of others needs."""
    return {
        "id": unit.unit_id,
        "code": unit.code,
        "full_name": unit.full_name,
        "level": unit.level.value,
        "path": unit_path(unit.unit_id),
    }


def succession_document(step: Succession) -> dict[str, Any]:
    """One step back or forth, with the unit at its other end."""
    return {
        "unit": named(step.unit),
        "kind": step.link.kind.value,
        "share": step.link.share,
        "people_share": step.link.people_share,
        "takes_effect": step.link.takes_effect,
        "legal_basis": step.link.legal_basis,
        "verified": step.link.verified,
    }


def unit_at_document(
    found: UnitAt | None, path: Sequence[Unit], on: date, longitude: float, latitude: float
) -> dict[str, Any]:
    """Where a point is; `unit` is null at sea, abroad, and where no outline of that day is held."""
    return {
        "on": on,
        "longitude": longitude,
        "latitude": latitude,
        "unit": None if found is None else unit_document(found.unit),
        "above": [named(one) for one in path[:-1]],
        "metres_to_edge": None if found is None else round(found.metres_to_edge, 1),
        "certain": None if found is None else found.certain,
    }


def resolution_document(resolved: Resolution, on: date, sentences: Sequence[str]) -> dict[str, Any]:
    """What a text means; `sentences` say why of each candidate, in the asker's language."""
    return {
        "text": resolved.text,
        "on": on,
        "outcome": resolved.outcome.value,
        "confidence": round(resolved.confidence, 3),
        "needs": None if resolved.needs is None else resolved.needs.value,
        "rest": resolved.rest,
        "left_off": resolved.left_off,
        "candidates": [
            {
                "unit": unit_document(one.unit),
                "former": None if one.former is None else named(one.former),
                "confidence": round(one.confidence, 3),
                "why": sentence,
            }
            for one, sentence in zip(resolved.candidates, sentences, strict=True)
        ],
    }


def found_document(found: UnitFound) -> dict[str, Any]:
    """A unit as a typeahead shows it: one line about it, and where it is."""
    point = found.unit.label_point or next(
        (one.label_point for one in found.became if one.label_point is not None), None
    )
    above = ", ".join(one.full_name for one in reversed(found.path) if one.unit_id != found.unit.unit_id)
    return {
        "kind": "former-unit" if found.former else "unit",
        "id": found.unit.unit_id,
        "label": found.unit.full_name,
        "detail": above,
        "became": [named(one) for one in found.became],
        "longitude": None if point is None else point[0],
        "latitude": None if point is None else point[1],
        "path": unit_path(found.unit.unit_id),
    }


def named_place_document(place: NamedPlace, ward: Unit | None) -> dict[str, Any]:
    """A street, water or place of the base map, in the same form."""
    return {
        "kind": place.layer,
        "id": None,
        "label": place.name,
        "detail": "" if ward is None else ward.full_name,
        "became": [],
        "longitude": place.longitude,
        "latitude": place.latitude,
        "path": None if ward is None else unit_path(ward.unit_id),
    }


def outlines_document(
    units: Iterable[Unit], shapes: Mapping[str, BaseGeometry], on: date, attribution: str
) -> dict[str, Any]:
    """A GeoJSON FeatureCollection (RFC 7946); units without an outline are features without geometry."""
    return {
        "type": "FeatureCollection",
        "on": on,
        "attribution": attribution,
        "features": [
            {
                "type": "Feature",
                "id": one.unit_id,
                "properties": {
                    **named(one),
                    "valid_from": one.valid_from,
                    "valid_to": one.valid_to,
                    "outline_accuracy_m": one.accuracy_m,
                },
                "geometry": geojson_of(shapes[one.unit_id], digits=_DIGITS)
                if one.unit_id in shapes
                else None,
            }
            for one in units
        ],
    }
