"""A small pack of a made-up domain, whole and without findings, for tests to break one thing in."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from haidang.kernel.actors import Audience
from haidang.kernel.errors import HaidangError
from haidang.kernel.instants import parse_instant
from haidang.sdk.model import (
    Attribute,
    AttributeReading,
    CsvTable,
    Dataset,
    Derivation,
    DerivedValue,
    EntityType,
    History,
    LatestEntities,
    Limit,
    MapLayer,
    Message,
    MqttSource,
    OneEntity,
    Pack,
    Page,
    PageRequest,
    Reading,
    Rejected,
    Window,
)


class _Sent(msgspec.Struct):
    id: str
    at: str
    level: float


def decode(message: Message) -> Iterator[Reading | Rejected]:
    try:
        sent = msgspec.json.decode(message.payload, type=_Sent)
        at = parse_instant(sent.at)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, HaidangError) as error:
        yield Rejected("unreadable", str(error))
        return
    values = (AttributeReading("waterLevel", sent.level, "CMT"),)
    yield Reading(f"urn:ngsi-ld:Gauge:{len(sent.id)}", "Gauge", at, values)


def moments(at: datetime) -> Sequence[datetime]:
    return [at]


def rise(window: Window, moment: datetime) -> Sequence[DerivedValue]:
    return [DerivedValue("rise", moment, len(window.get("waterLevel", ())))]


def view(request: PageRequest) -> Mapping[str, Any]:
    return {"gauges": request.results["gauges"]}


def table(request: PageRequest) -> CsvTable:
    return CsvTable("gauges", ["gauge"], [[one.entity_id] for one in request.results["gauges"]])


GAUGE = EntityType(
    name="Gauge",
    iri="https://example.org/Gauge",
    label="River gauge",
    attributes=(
        Attribute(
            "waterLevel",
            "https://example.org/waterLevel",
            unit="MTR",
            label="Water level",
            least=-5,
            most=30,
            sentinels=(-999.0,),
        ),
        Attribute("rise", "https://example.org/rise", label="Rise", derived=True),
    ),
)
SOURCE = MqttSource(
    source_id="gauges",
    label="River gauges",
    topic="haidang/gauge/+",
    entity_type="Gauge",
    decode=decode,
    rhythm=timedelta(minutes=10),
    example=b'{"id": "cai", "at": "2026-11-21T05:00:00Z", "level": 120}',
    example_topic="haidang/gauge/cai",
)
RISE = Derivation(
    derivation_id="rise",
    entity_type="Gauge",
    inputs=("waterLevel",),
    outputs=("rise",),
    reach=timedelta(hours=1),
    moments=moments,
    derive=rise,
)
LIST = Page(
    page_id="gauges",
    path="/gauges",
    title="Rivers now",
    audience=Audience.PUBLIC,
    queries=(
        LatestEntities("gauges", "Gauge"),
        History("levels", "gauges", ("waterLevel",), timedelta(days=1)),
    ),
    template="gauges.html",
    view=view,
    csv=table,
)
ONE = Page(
    page_id="gauge",
    path="/gauges/{gauge}",
    title="River gauge",
    audience=Audience.PUBLIC,
    queries=(OneEntity("gauges", "Gauge", "gauge"),),
    template="gauges.html",
    view=view,
)
DATASET = Dataset(
    dataset_id="gauges",
    title="River gauges",
    description="Levels of the rivers.",
    entity_type="Gauge",
    licence="CC-BY-4.0",
    publisher="Hydrological station",
    update_frequency=timedelta(minutes=10),
)
LAYER = MapLayer("gauges", "River gauges", "Gauge", "waterLevel")
LIMIT = Limit("waterLevel", "instant", 450, "CMT", "Alarm levels", date(2026, 1, 1))

PACK = Pack(
    pack_id="rivers",
    version="1.0.0",
    title="Rivers",
    entity_types=(GAUGE,),
    sources=(SOURCE,),
    derivations=(RISE,),
    limits=(LIMIT,),
    pages=(LIST, ONE),
    datasets=(DATASET,),
    map_layers=(LAYER,),
)

TEMPLATE = """<h1>{{ title }}</h1>
{% trans count=gauges|length %}{{ count }} gauge{% pluralize %}{{ count }} gauges{% endtrans %}
"""
CATALOGUE = {
    "Rivers": "Sông",
    "River gauge": "Trạm thủy văn",
    "River gauges": "Các trạm thủy văn",
    "Water level": "Mực nước",
    "Rise": "Mức dâng",
    "Rivers now": "Sông lúc này",
    "Levels of the rivers.": "Mực nước các sông.",
    "Hydrological station": "Đài khí tượng thủy văn",
}
HEADER = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

msgid "%(count)s gauge"
msgid_plural "%(count)s gauges"
msgstr[0] "%(count)s trạm"

"""


def write_folder(folder: Path, catalogue: Mapping[str, str] = CATALOGUE) -> Path:
    """Write the pack's template, catalogue and a module into a folder named `rivers`."""
    pack = folder / "rivers"
    for part in ("templates", "locale"):
        (pack / part).mkdir(parents=True)
    (pack / "__init__.py").write_text("")
    (pack / "pack.py").write_text("import json\nfrom haidang.sdk.model import Pack\n")
    (pack / "templates" / "gauges.html").write_text(TEMPLATE)
    lines = "\n".join(f'msgid "{english}"\nmsgstr "{vi}"\n' for english, vi in catalogue.items())
    (pack / "locale" / "vi.po").write_text(HEADER + lines, encoding="utf-8")
    return pack
