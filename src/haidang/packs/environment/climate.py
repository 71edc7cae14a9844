"""What is usual: monthly climate normals of the national stations, from `normals.json`, and their page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from haidang.kernel.actors import Audience
from haidang.kernel.instants import VIETNAM
from haidang.sdk.model import CsvTable, Page, PageRequest

PATH = "/khi-hau"
MONTHS = 12


class Normals(msgspec.Struct, frozen=True):
    """Means over the years of one station, January to December; None where too few years were measured."""

    name: str
    province: str
    since: int
    until: int
    mean_c: tuple[float | None, ...]
    highest_c: tuple[float | None, ...]
    lowest_c: tuple[float | None, ...]
    rain_mm: tuple[float | None, ...]
    humidity_pct: tuple[float | None, ...]
    sunshine_h: tuple[float | None, ...]

    @property
    def rain_of_year(self) -> float | None:
        """The twelve months' rain together, in mm; None where one is missing."""
        months = [one for one in self.rain_mm if one is not None]
        return round(sum(months)) if len(months) == MONTHS else None

    @property
    def months(self) -> list[tuple[float | None, ...]]:
        """A row a month: mean, highest and lowest temperature, rain, humidity, sunshine."""
        columns = (
            self.mean_c, self.highest_c, self.lowest_c, self.rain_mm, self.humidity_pct, self.sunshine_h,
        )  # fmt: skip
        return list(zip(*columns, strict=True))


class _NormalsFile(msgspec.Struct, frozen=True):
    provenance: str
    stations: tuple[Normals, ...]


NORMALS = msgspec.json.decode(Path(__file__).with_name("normals.json").read_bytes(), type=_NormalsFile)


def show(request: PageRequest) -> Mapping[str, Any]:
    """The stations, with this month's row marked."""
    return {
        "stations": NORMALS.stations,
        "this_month": request.now.astimezone(VIETNAM).month,
        "provenance": NORMALS.provenance,
    }


def table(request: PageRequest) -> CsvTable:
    """One row a station and month."""
    return CsvTable(
        "khi-hau",
        (
            "station", "province", "month", "since", "until", "mean_c", "highest_c", "lowest_c", "rain_mm",
            "humidity_pct", "sunshine_h", "source", "retrieved_at",
        ),
        [
            (one.name, one.province, month, one.since, one.until, *row, NORMALS.provenance, request.now)
            for one in NORMALS.stations
            for month, row in enumerate(one.months, start=1)
        ],
    )  # fmt: skip


PAGES: tuple[Page, ...] = (
    Page(
        page_id="climate",
        path=PATH,
        title="What is usual: climate month by month",
        summary="Temperature, rain, humidity and sunshine of each month, means over many years.",
        audience=Audience.PUBLIC,
        queries=(),
        template="climate.html",
        view=show,
        csv=table,
        in_menu=False,
    ),
)
