"""Hospitals and medical centres: the entity type of the Smart Data Models, and the file they come from."""

from datetime import date

from haidang.sdk.model import Attribute, AttributeKind, EntityType, Facts

MODEL = "https://smartdatamodels.org/dataModel.PointOfInterest/"
COMMON = "https://smartdatamodels.org/"
OWN = "urn:haidang:term:"

HOSPITAL = "hospital"
MEDICAL_CENTRE = "medical-centre"
KIND_LABELS = {HOSPITAL: "Hospital", MEDICAL_CENTRE: "Medical centre"}
"""What stands in `category`, and the word for it: message ids."""

RETRIEVED = date(2026, 2, 9)
"""When the file was gathered; it says so itself, and a test compares."""

ATTRIBUTION = "© OpenStreetMap contributors, ODbL 1.0"

POINT_OF_INTEREST = EntityType(
    name="PointOfInterest",
    iri=MODEL + "PointOfInterest",
    label="Point of interest",
    attributes=(
        Attribute("name", COMMON + "name", label="Name", lasting=True),
        Attribute("category", MODEL + "category", label="Category", lasting=True),
        Attribute(
            "location",
            "https://uri.etsi.org/ngsi-ld/location",
            kind=AttributeKind.GEO_PROPERTY,
            label="Location",
            lasting=True,
        ),
        Attribute("address", COMMON + "address", label="Address", lasting=True),
        Attribute("contactPoint", COMMON + "contactPoint", label="Contact", lasting=True),
        Attribute("source", COMMON + "source", label="Source", lasting=True),
        Attribute("dataProvider", COMMON + "dataProvider", label="Data provider", lasting=True),
        Attribute("license", OWN + "license", label="Licence", lasting=True),
    ),
)

HOSPITALS = Facts(
    facts_id="hospitals",
    title="Hospitals and medical centres",
    entity_type=POINT_OF_INTEREST.name,
    file="hospitals.json",
    licence="ODbL-1.0",
    attribution=ATTRIBUTION,
)
