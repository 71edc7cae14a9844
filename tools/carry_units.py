"""Carry Vietnam's administrative units before and after 1 July 2025 into the product's own compact facts.

    python tools/carry_units.py FOLDER

FOLDER holds the lists, the tables of what became what, the outlines (GeoJSON) and `legal/`, the
resolutions' texts. The law prevails over the tables: what it says of a province is taken from its own
items, and every difference is printed. A second run on a newer release keeps each unit's id: ids are
read back from the facts file first, and only what has none gets one.
"""

import csv
import difflib
import json
import re
import sys
import tomllib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import carry_resolutions as law
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from haidang.kernel.shapes import area_km2
from haidang.kernel.text import collation_key, fold, nfc

FACTS = Path(__file__).parents[1] / "src" / "haidang" / "places" / "facts"

SINCE = "2025-07-01"
"""Provinces and wards without districts, and wards rearranged: the day they began to work."""

# Keys of the laws in units.toml: what is written there is what people read.
DISTRICTS_ENDED_BY, PROVINCES_BY, WARDS_REARRANGED_BY, NATIONAL_LIST = "L72", "NQ202", "NQ76", "QD19"
LAW_OF = "NQ{number}:{items}"

# Đồng Nai is a city since 30 April 2026 (and some of its communes wards): the lists we have say how it is
# called now, not which of its communes changed, so it is one unit with one name, and says why.
LATER_BASIS = {"75": ";NQ30"}

# Communes that the old list still has though they ended in 2020: none is among the 137 that the province
# had from 1 December 2024 on (1245/NQ-UBTVQH15), nor in the resolution of 2025. They went where the press
# of 2020 says (the first from its name), and the table of what became what agrees with where that led.
ENDED_EARLIER = {"25102": "25096", "25174": "25171", "25177": "25189", "25186": "25159"}
ENDED_BY_THEN = "2024-12-01"
ENDED_EARLIER_BY = "NQ1245"

# Island districts that had no communes, so that the old list, which is one of communes, does not know them:
# code, name, province (QĐ 124/2004/QĐ-TTg), and the special zone that each went into, whole, in 2025.
DISTRICTS_WITHOUT_COMMUNES = (
    ("318", "Bạch Long Vĩ", "31", "11948"),
    ("471", "Cồn Cỏ", "45", "19742"),
    ("498", "Hoàng Sa", "48", "20333"),
    ("536", "Lý Sơn", "51", "21548"),
    ("755", "Côn Đảo", "77", "26732"),
)

AS_OF = "2026-08-02"
RECORDS_SINCE = "2025-03-01"
"""The day of the list before the rearrangement: of days before it nothing is known."""

SOURCES: tuple[tuple[str, str, str], ...] = (
    (
        "Outlines, codes, names and label points",
        "github.com/thanglequoc/vietnamese-provinces-database at cd58063299585146ded3981f2272946ef19ced54",
        "MIT, (c) 2021 Thang Le Quoc",
    ),
    (
        "The map that those outlines were derived from",
        "sapnhap.bando.com.vn, Vietnam Natural Resources, Environment and Cartography Publishing House",
        "a publication of the State: the MIT grant is the compiler's",
    ),
    (
        "What became what",
        "github.com/dvhcvn/20250701 at dd94887ce32324380bc5bb0a76fe39867dafc73b",
        "MIT",
    ),
    (
        "Corrections of what became what",
        "the texts of 1664/NQ-UBTVQH15 and 1671/NQ-UBTVQH15",
        "legal documents, no copyright",
    ),
    (
        "Units before 1 July 2025",
        (
            "the list of the General Statistics Office as kept in github.com/dvhcvn/data at "
            "5393138f97bf5dd32a6b92d88d99691ed09e931d"
        ),
        "no licence given, only facts were taken",
    ),
    (
        "Five island districts without communes, which that list leaves out",
        "QĐ 124/2004/QĐ-TTg",
        "legal document, no copyright",
    ),
    (
        "Area, people and seats, as published on 17 July 2025",
        "github.com/tranngocminhhieu/vietnamadminunits at 780c27980afdae76d5c6e7b252955f6b571f34ca",
        "MIT",
    ),
)
"""What comes from where, on which terms: a compiler's licence does not cover what was compiled."""

POPULATION_ON = "2025-07-17"
UNKNOWN = "đang cập nhật"
MAY_LACK_A_ZERO = 10_000
"""Of the 242 figures of the list one ends in 0, where about 24 should: 21.680 was read as 21.68, and then
as 2168. A smaller figure may be whole or a tenth, and nothing in the list tells which: it is marked."""

WARDS_M, DETAILED_WARDS_M, PROVINCES_M = 66, 5, 660
"""How far the outlines of the source may be off: it simplified them by so many metres."""

HEADER = """\
# Administrative units of Vietnam before and after 1 July 2025. Carried by tools/carry_units.py; provenance
# and licence in units.toml. Ids are given once and never change; codes are used again for other units: a code
# that names another unit here means the one that stood, or began, at that time. Laws are keys of units.toml.
# A figure of people with ? may lack its last zero (see tools/carry_units.py).
"""

COLUMNS = (
    "unit_id", "level", "kind", "code", "name", "name_en", "parent_code", "valid_from", "valid_to",
    "legal_basis", "ended_by", "area_km2", "population", "population_on", "centre", "longitude", "latitude",
    "verified",
)  # fmt: skip

LINK_COLUMNS = (
    "level", "from_code", "to_code", "kind", "share", "people_share", "takes_effect", "legal_basis",
    "verified",
)  # fmt: skip

KINDS = ("Phường", "Xã", "Thị trấn", "Đặc khu", "Tỉnh", "Thành phố", "Quận", "Huyện", "Thị xã")


class SourceNotUnderstood(ValueError):
    """Something in the source that this script cannot place: nothing is written."""


@dataclass(slots=True)
class Unit:
    """A line of the facts, being put together."""

    level: str
    kind: str
    code: str
    name: str
    parent: "Unit | None" = None
    name_en: str = ""
    valid_from: str = ""
    valid_to: str = ""
    legal_basis: str = ""
    ended_by: str = ""
    area_km2: str = ""
    population: str = ""
    population_on: str = ""
    centre: str = ""
    label: tuple[float, float] | None = None
    verified: bool = False
    unit_id: str = ""

    @property
    def full_name(self) -> str:
        """Kind and name."""
        return f"{self.kind} {self.name}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells units apart in the source: a code and when it was given."""
        return self.level, self.code, self.valid_from


@dataclass(frozen=True, slots=True)
class Link:
    """One unit into another."""

    former: Unit
    later: Unit
    kind: str
    share: str = "1"
    people_share: str = "1"
    takes_effect: str = SINCE
    legal_basis: str = ""
    verified: bool = False

    @property
    def level(self) -> str:
        """The level of both, or of each: district>ward."""
        levels = dict.fromkeys((self.former.level, self.later.level))
        return ">".join(levels)


@dataclass(slots=True)
class Outline:
    """A shape, how far it may be off, and how many decimals of a degree it is written with."""

    shape: BaseGeometry
    accuracy_m: int
    digits: int


@dataclass(slots=True)
class Country:
    """Everything that is carried."""

    old_provinces: dict[str, Unit] = field(default_factory=dict)
    provinces: dict[str, Unit] = field(default_factory=dict)
    districts: dict[str, Unit] = field(default_factory=dict)
    old_wards: dict[str, Unit] = field(default_factory=dict)
    wards: dict[str, Unit] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    outlines: dict[int, Outline] = field(default_factory=dict)

    def units(self) -> Iterator[Unit]:
        """Every unit once, the newest lists first: they have the first choice of an id."""
        seen: set[int] = set()
        for group in (self.provinces, self.wards, self.old_provinces, self.districts, self.old_wards):
            for unit in group.values():
                if id(unit) not in seen:
                    seen.add(id(unit))
                    yield unit


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    """The rows of a table, their text in one form."""
    with (folder / name).open(encoding="utf-8", newline="") as lines:
        return [{key: tidy(value) for key, value in row.items()} for row in csv.DictReader(lines)]


def tidy(text: str) -> str:
    """NFC, one space between words, one kind of apostrophe."""
    return " ".join(nfc(text).replace("’", "'").split())


def parted(full_name: str) -> tuple[str, str]:
    """Kind and name of "Thị Trấn Đạ M'ri", the kind as it is spelt elsewhere."""
    for kind in KINDS:
        if full_name.lower().startswith(kind.lower() + " "):
            return kind, full_name[len(kind) + 1 :]
    raise SourceNotUnderstood(f"no kind of unit: {full_name}")


def name_key(name: str) -> str:
    """A name without spaces, apostrophes and the place of its tones: Adơk is A Dơk, but Ân is not An."""
    words = re.findall(r"[^\W_]+", name)
    return (
        "".join(collation_key(word).split("\x01", 2)[0] for word in words)
        + "|"
        + "".join(collation_key(word).split("\x01")[1].strip("0") for word in words)
    )


def loose_key(name: str) -> str:
    """A name folded, without spaces: the last resort, among a few."""
    return fold(name).replace(" ", "")


# -- the lists ------------------------------------------------------------------------------------


def read_lists(folder: Path, country: Country) -> None:
    """Provinces, districts and wards, by the lists of March 2025 and July 2026."""
    before, now = rows_of(folder, "wards_national_pre2025.csv"), rows_of(folder, "wards_national_2026.csv")
    for row in before:
        _province(country.old_provinces, row)
    for row in now:
        _province(country.provinces, row)
    for code, english in _english_names(folder).items():
        country.provinces[code].name_en = english
    _keep_unchanged_provinces(folder, country)
    for row in before:
        province = country.old_provinces[row["province_code"]]
        if row["district_code"] not in country.districts:
            kind, name = parted(row["district"])
            country.districts[row["district_code"]] = Unit(
                "district", kind, row["district_code"], name, province,
                valid_to=SINCE, ended_by=DISTRICTS_ENDED_BY,
            )  # fmt: skip
        kind, name = parted(row["ward"])
        country.old_wards[row["ward_code"]] = Unit(
            "ward", kind, row["ward_code"], name, country.districts[row["district_code"]],
            valid_to=SINCE, ended_by=WARDS_REARRANGED_BY,
        )  # fmt: skip
    for row in now:
        kind, name = parted(row["ward_full_name"])
        if kind != row["unit"]:
            raise SourceNotUnderstood(f"{row['ward_full_name']} is said to be a {row['unit']}")
        country.wards[row["ward_code"]] = Unit(
            "ward", kind, row["ward_code"], name, country.provinces[row["province_code"]],
            name_en=row["ward_name_en"], valid_from=SINCE, legal_basis=NATIONAL_LIST,
        )  # fmt: skip
    _add_districts_without_communes(country)


def _add_districts_without_communes(country: Country) -> None:
    for code, name, province, zone_code in DISTRICTS_WITHOUT_COMMUNES:
        zone = country.wards[zone_code]
        if code in country.districts or zone.full_name != f"Đặc khu {name}":
            raise SourceNotUnderstood(f"the list now has the district {name}, or {zone_code} is not its zone")
        country.districts[code] = Unit(
            "district", "Huyện", code, name, country.old_provinces[province],
            valid_to=SINCE, ended_by=DISTRICTS_ENDED_BY,
        )  # fmt: skip
        country.links.append(
            Link(country.districts[code], zone, "continues", legal_basis=WARDS_REARRANGED_BY)
        )


def _province(found: dict[str, Unit], row: Mapping[str, str]) -> None:
    if row["province_code"] not in found:
        kind, name = parted(row["province"])
        found[row["province_code"]] = Unit("province", kind, row["province_code"], name)


def _english_names(folder: Path) -> dict[str, str]:
    return {one["properties"]["code"]: one["properties"]["nameEn"] for one in features(folder, COARSE)}


def _keep_unchanged_provinces(folder: Path, country: Country) -> None:
    """A province that took in no other is one unit, before and after."""
    came: dict[str, set[str]] = defaultdict(set)
    for before, after in provinces_became(folder).items():
        came[after].add(before)
    for code, province in country.provinces.items():
        if came[code] == {code}:
            country.old_provinces[code] = province
            continue
        province.valid_from = SINCE
        province.legal_basis = PROVINCES_BY + LATER_BASIS.get(code, "")
        for former in sorted(came[code]):
            unit = country.old_provinces[former]
            unit.valid_to, unit.ended_by = SINCE, PROVINCES_BY
            country.links.append(Link(unit, province, "merge", legal_basis=PROVINCES_BY))


def provinces_became(folder: Path) -> dict[str, str]:
    """Each old province's new one: provinces went whole, so where nearly all of its wards went."""
    went: dict[str, Counter[str]] = defaultdict(Counter)
    old = {row["ward_code"]: row["province_code"] for row in rows_of(folder, "wards_national_pre2025.csv")}
    for row in rows_of(folder, "ward_mapping_old_new_national.csv"):
        if row["old_ward_code"] in old:
            went[old[row["old_ward_code"]]][row["new_province_code"]] += 1
    found = {}
    for before, after in went.items():
        (code, times), *_ = after.most_common(1)
        if times < 0.95 * after.total():
            raise SourceNotUnderstood(f"province {before} went to {dict(after)}")
        found[before] = code
    return found


# -- what became of them --------------------------------------------------------------------------


def read_links(folder: Path, country: Country) -> list[str]:
    """Links by the table, and by the law where we have its text; returns what the law corrected."""
    table: dict[str, dict[str, bool]] = defaultdict(dict)
    notes: list[str] = []
    became = provinces_became(folder)
    rows = rows_of(folder, "ward_mapping_old_new_national.csv")
    named = {row["new_ward_code"] for row in rows}
    for row in rows:
        former, later = row["old_ward_code"], row["new_ward_code"]
        if former not in country.old_wards:
            notes.append(f"table: code {former} is in no list of old wards; its row is left out")
            continue
        if later not in country.wards:
            # The one ward of that province that the table names nowhere: its code was corrected later.
            province = country.provinces[row["new_province_code"]]
            (instead,) = (
                code for code, ward in country.wards.items() if ward.parent is province and code not in named
            )
            notes.append(f"table: new code {later} is in no list; {former} goes to {instead}")
            later = instead
        district = country.old_wards[former].parent
        old_province = district.parent if district else None
        if old_province is None or became[old_province.code] != row["new_province_code"]:
            notes.append(f"table: {former} would go to {later}, in another province; its row is left out")
            table[former] |= {}
            continue
        table[former][later] = row["type"] == "full"
    lawful: dict[str, list[Link]] = {}
    for path in sorted((folder / "legal").glob("*_NQ-UBTVQH15.md")):
        pairs = law.carry(path.stem.replace("_", "/", 1), path.read_text(encoding="utf-8"))
        lawful |= _links_by_law(country, pairs, table, notes)
    country.links += _links_by_table(country, table, lawful, notes)
    return notes


def _links_by_law(
    country: Country, pairs: Sequence[law.Pair], table: Mapping[str, Mapping[str, bool]], notes: list[str]
) -> dict[str, list[Link]]:
    province = next(
        one for one in country.provinces.values() if name_key(one.name) == name_key(pairs[0].province)
    )
    later_wards = [one for one in country.wards.values() if one.parent is province]
    former_wards = [
        country.old_wards[code]
        for code, targets in table.items()
        if any(country.wards[target].parent is province for target in targets)
    ]
    went: dict[str, list[tuple[law.Pair, Unit]]] = defaultdict(list)
    made_of: Counter[str] = Counter()
    for pair in pairs:
        said_in = f"{pair.law} item {pair.item}"
        later = _only(Named(pair.new_kind, pair.new_name, "", said_in), later_wards, notes)
        former = _only(
            Named(pair.old_kind, pair.old_name, pair.district, said_in),
            former_wards,
            notes,
            likely=[one for one in former_wards if later.code in table[one.code]],
        )
        went[former.code].append((pair, later))
        made_of[later.code] += 1
        basis = by_law(pair.law, [pair.item])
        if later.legal_basis not in (NATIONAL_LIST, basis):
            raise SourceNotUnderstood(f"{later.full_name} is made twice: {later.legal_basis}; {basis}")
        later.legal_basis, later.verified = basis, True
    for ward in later_wards:
        if ward.code not in made_of:
            raise SourceNotUnderstood(f"the law does not make {ward.full_name} ({ward.code})")
    found: dict[str, list[Link]] = {}
    for code, ways in went.items():
        former = country.old_wards[code]
        former.ended_by = by_law(ways[0][0].law, [pair.item for pair, _ in ways])
        former.verified = True
        found[code] = [
            Link(
                former, later, _kind_by_law(pair, made_of[later.code]),
                *_shares(pair, [one for one, _ in ways]),
                legal_basis=by_law(pair.law, [pair.item]), verified=True,
            )
            for pair, later in ways
        ]  # fmt: skip
        said = {later.code: pair.how in ("whole", "renamed", "kept") for pair, later in ways}
        if said != table[code]:
            notes.append(
                f"law: {former.full_name} ({code}) goes to {', '.join(sorted(said))} ({former.ended_by}); "
                f"the table said {', '.join(sorted(table[code]))}"
            )
    return found


@dataclass(frozen=True, slots=True)
class Named:
    """A unit as the law names it, and where."""

    kind: str
    name: str
    district: str
    said_in: str

    def is_called(self, unit: Unit) -> bool:
        """Whether a unit has this kind and name."""
        return unit.kind.lower() == self.kind and name_key(unit.name) == name_key(self.name)

    def lies_in(self, district: Unit) -> bool:
        """Whether that is the district the law names; Đak Đoa is also written Đăk Đoa."""
        return loose_key(district.name) == loose_key(parted(self.district)[1])


def by_law(number: str, items: Sequence[int]) -> str:
    """The key of a resolution's items: 1671/NQ-UBTVQH15, item 43, is NQ1671:43."""
    return LAW_OF.format(number=number.partition("/")[0], items="+".join(map(str, items)))


def _kind_by_law(pair: law.Pair, sources: int) -> str:
    if pair.how in ("part", "rest"):
        return "split" if sources == 1 else "part"
    return "continues" if sources == 1 else "merge"


def _shares(pair: law.Pair, ways: Sequence[law.Pair]) -> tuple[str, str]:
    """Shares of area and of people: where only land went, all the people stayed with the rest."""
    if len(ways) == 1:
        return "1", "1"
    only_land = any(one.people == "no" for one in ways)
    people = "" if not only_land else "0" if pair.people == "no" else "1"
    return "", people


def _only(unit: Named, among: Sequence[Unit], notes: list[str], likely: Sequence[Unit] | None = None) -> Unit:
    """The one unit that the law means; raises when there is none or more than one."""
    found = [one for one in among if unit.is_called(one)]
    if unit.district:
        found = [one for one in found if one.parent and unit.lies_in(one.parent)]
    if len(found) > 1 and likely is not None:
        found = [one for one in found if one in likely]
    if not found:
        # Names of the highlands are spelt in several ways: the nearest of those the table has for it.
        pool = {loose_key(one.name): one for one in (among if likely is None else likely)}
        nearest = difflib.get_close_matches(loose_key(unit.name), pool, n=1, cutoff=0.7)
        found = [pool[one] for one in nearest if pool[one].kind.lower() == unit.kind]
        notes += [
            f"spelling: {unit.said_in} writes {unit.name}, the list {one.name} ({one.code})" for one in found
        ]
    if len(found) != 1:
        names = ", ".join(f"{one.full_name} {one.code}" for one in found) or "none"
        raise SourceNotUnderstood(f"{unit.said_in}: {unit.kind} {unit.name} {unit.district}: {names}")
    return found[0]


def _links_by_table(
    country: Country,
    table: Mapping[str, Mapping[str, bool]],
    lawful: Mapping[str, list[Link]],
    notes: list[str],
) -> Iterator[Link]:
    targets = {code: set(ways) for code, ways in table.items() if code not in lawful}
    sources: Counter[str] = Counter(later for ways in targets.values() for later in ways)
    for code, former in country.old_wards.items():
        if code in lawful:
            yield from lawful[code]
        elif code in ENDED_EARLIER:
            former.valid_to, former.ended_by, former.verified = ENDED_BY_THEN, ENDED_EARLIER_BY, False
            into = country.old_wards[ENDED_EARLIER[code]]
            notes.append(
                f"law: {former.full_name} ({code}) is not in it: ended earlier, into {into.full_name}"
            )
            if {link.later.code for link in lawful[into.code]} != set(table[code]):
                raise SourceNotUnderstood(
                    f"{code} ended in {into.code}, which went elsewhere than the table says"
                )
            yield Link(former, into, "merge", takes_effect=ENDED_BY_THEN, legal_basis=ENDED_EARLIER_BY)
        else:
            whole = all(table[code].values())
            for later in sorted(targets[code]):
                alone = sources[later] == 1
                kind = ("continues" if alone else "merge") if whole else ("split" if alone else "part")
                share = "1" if whole else ""
                yield Link(former, country.wards[later], kind, share, share, legal_basis=WARDS_REARRANGED_BY)


# -- figures and outlines -------------------------------------------------------------------------

COARSE = "vn_provinces_34_coarse.geojson"
OLD_AND_NEW = "provinces_pilot_old_new.geojson"
DETAILED = "pilot_wards_detail.geojson"


def features(folder: Path, name: str) -> list[dict[str, Any]]:
    """The features of a GeoJSON file."""
    found: list[dict[str, Any]] = json.loads((folder / name).read_text(encoding="utf-8"))["features"]
    return found


def read_figures(folder: Path, country: Country) -> list[str]:
    """Area, people and seat of each ward we have figures of; what is not known stays empty."""
    notes: list[str] = []
    doubtful = 0
    for row in rows_of(folder, "ward_population_area_2025.csv"):
        ward = country.wards[row["ward_code"]]
        ward.area_km2 = str(Decimal(row["area_km2"]))
        if row["population"] == UNKNOWN:
            notes.append(f"people: none known of {ward.full_name} ({ward.code})")
        else:
            ward.population, ward.population_on = str(int(row["population"])), POPULATION_ON
            if int(row["population"]) < MAY_LACK_A_ZERO and not row["population"].endswith("0"):
                ward.population += "?"
                doubtful += 1
        ward.centre = "" if row["admin_centre"] == UNKNOWN else row["admin_centre"]
    notes.append(
        f"people: {doubtful} figures below {MAY_LACK_A_ZERO:,} may have lost a last zero: marked doubtful"
    )
    for one in features(folder, COARSE):
        country.provinces[one["properties"]["code"]].area_km2 = str(
            Decimal(str(one["properties"]["areaKm2"]))
        )
    for one in features(folder, OLD_AND_NEW):
        if one["properties"]["kind"] == "province-pre-2025":
            unit = country.old_provinces[one["properties"]["code"]]
            unit.area_km2 = str(Decimal(str(one["properties"]["areaKm2"])))
    return notes


def read_outlines(folder: Path, country: Country) -> list[str]:
    """Outlines of the pilot provinces' wards, of the old provinces they come from, and of every province."""
    _draw_wards(folder, country)
    _draw_provinces_of_wards(folder, country)
    for one in features(folder, COARSE):
        unit = country.provinces[one["properties"]["code"]]
        country.outlines.setdefault(id(unit), Outline(shape_in(one), PROVINCES_M, 4))
        for name, islands in offshore(shape_in(one)).items():
            (special,) = (
                ward for ward in country.wards.values() if ward.parent is unit and ward.name == name
            )
            country.outlines[id(special)] = Outline(islands, PROVINCES_M, 4)
    notes: list[str] = []
    for unit in country.units():
        if id(unit) in country.outlines:
            _round_and_label(unit, country.outlines[id(unit)], notes)
    return notes


def _draw_wards(folder: Path, country: Country) -> None:
    wards: dict[str, BaseGeometry] = {}
    detailed: dict[str, BaseGeometry] = {}
    for path in (*sorted(folder.glob("wards_[0-9]*.geojson")), folder / DETAILED):
        for one in features(folder, path.name):
            code = one["properties"]["code"]
            (detailed if path.name == DETAILED else wards)[code] = shape_in(one)
            longitude, latitude = one["properties"]["labelPoint"]
            country.wards[code].label = longitude, latitude
    for code, shape in fit(wards, detailed).items():
        finer = code in detailed or not shape.equals(wards[code])
        accuracy = DETAILED_WARDS_M if code in detailed else WARDS_M
        country.outlines[id(country.wards[code])] = Outline(shape, accuracy, 6 if finer else 5)


def _draw_provinces_of_wards(folder: Path, country: Country) -> None:
    """The pilot provinces, and the old ones they were made of, as their wards: none crosses a line."""
    members: dict[int, list[BaseGeometry]] = defaultdict(list)
    for path in sorted(folder.glob("wards_[0-9]*.geojson")):
        for one in features(folder, path.name):
            ward = country.wards[one["properties"]["code"]]
            shape = shapely.set_precision(country.outlines[id(ward)].shape, 1e-6)
            members[id(ward.parent)].append(shape)
            members[id(country.old_provinces[one["properties"]["oldProvinceCode"]])].append(shape)
    for number, shapes in members.items():
        country.outlines[number] = Outline(without_crumbs(shapely.union_all(shapes)), WARDS_M, 6)
    for one in features(folder, OLD_AND_NEW):
        group = country.provinces if one["properties"]["kind"] == "province-2025" else country.old_provinces
        unit = group[one["properties"]["code"]]
        difference = area_km2(country.outlines[id(unit)].shape) / area_km2(shape_in(one)) - 1
        if abs(difference) > 0.001:
            raise SourceNotUnderstood(f"{unit.full_name} differs from its own outline: {difference:.2%}")


def without_crumbs(shape: BaseGeometry) -> BaseGeometry:
    """A shape without the tiny holes and parts that rounding leaves along common edges."""
    parts = []
    for part in shapely.get_parts(polygons_of(shape)):
        holes = [ring for ring in part.interiors if shapely.Polygon(ring).area > CRUMB]
        parts.append(shapely.Polygon(part.exterior, holes))
    whole: BaseGeometry = shapely.multipolygons(parts)
    return whole


CRUMB = 1e-8
"""Square degrees: about 120 square metres."""


def shape_in(feature: Mapping[str, Any]) -> BaseGeometry:
    """The shape of a feature, made valid."""
    shape: BaseGeometry = shapely.make_valid(shapely.geometry.shape(feature["geometry"]))
    return shape


def _round_and_label(unit: Unit, outline: Outline, notes: list[str]) -> None:
    """Round the outline to its decimals, keep its label inside, compare its area with the list's."""
    outline.shape = shapely.set_precision(outline.shape, 10.0**-outline.digits)
    if unit.label is None or not outline.shape.contains(shapely.Point(unit.label)):
        if unit.label is not None:
            notes.append(f"label: that of {unit.full_name} ({unit.code}) lies outside it and was set anew")
        unit.label = label_of(outline.shape)
    measured = area_km2(outline.shape)
    if unit.level == "ward" and unit.area_km2 and abs(measured / float(unit.area_km2) - 1) > AREAS_DIFFER:
        notes.append(
            f"area: {unit.full_name} ({unit.code}): {unit.area_km2} km² by the list, "
            f"{measured:.1f} by its outline, which is carried"
        )
        unit.area_km2 = f"{measured:.1f}"


AREAS_DIFFER = 0.1
"""Where a ward's area by the list and by its outline differ by more, the list is wrong: it has 1.86 km² for a
ward that was put together of three and a commune."""

ARCHIPELAGOS = {"Hoàng Sa": (110.5, 15.5, 113.5, 17.5), "Trường Sa": (109.4, 6.0, 118.0, 12.0)}


def offshore(shape: BaseGeometry) -> dict[str, BaseGeometry]:
    """The islands of the two archipelagos in a province's outline: a special zone each."""
    found = {}
    for name, bounds in ARCHIPELAGOS.items():
        parts = [part for part in shapely.get_parts(shape) if shapely.box(*bounds).contains(part)]
        if parts:
            found[name] = shapely.multipolygons(parts)
    return found


def fit(wards: Mapping[str, BaseGeometry], detailed: Mapping[str, BaseGeometry]) -> dict[str, BaseGeometry]:
    """The detailed outlines among the others, without overlaps, and without gaps on land.

    Each other outline gives way to the detailed ones; a gap between them, where the coarse outline of
    a detailed ward went further, goes to the neighbour it shares most edge with.
    """
    fine = shapely.union_all(list(detailed.values()))
    near = {
        code
        for code, shape in wards.items()
        if code not in detailed and any(shape.distance(one) < 0.002 for one in detailed.values())
    }
    fitted = dict(wards) | dict(detailed)
    for code in near:
        fitted[code] = polygons_of(wards[code].difference(fine))
    coarse = shapely.union_all([wards[code] for code in detailed])
    gaps = coarse.difference(fine).difference(shapely.union_all([fitted[code] for code in near]))
    for gap in shapely.get_parts(polygons_of(gaps)):
        shared = {code: fitted[code].boundary.intersection(gap.boundary).length for code in near}
        best = max(shared, key=lambda code: shared[code])
        if shared[best] > 0:
            fitted[best] = polygons_of(shapely.union(fitted[best], gap))
    return fitted


def polygons_of(shape: BaseGeometry) -> BaseGeometry:
    """The areas of a shape, without the lines and points that cutting leaves, and without crumbs."""
    parts = [
        part
        for part in shapely.get_parts(shapely.make_valid(shape))
        if part.geom_type == "Polygon" and part.area > 1e-9  # about 12 m²
    ]
    areas: BaseGeometry = shapely.multipolygons(parts)
    return areas


def label_of(shape: BaseGeometry) -> tuple[float, float]:
    """A point well inside the largest part."""
    largest = max(shapely.get_parts(shape), key=lambda part: part.area)
    line = shapely.maximum_inscribed_circle(largest, tolerance=0.001)
    x, y = shapely.get_coordinates(line)[0]
    return round(float(x), 5), round(float(y), 5)


KnownUnit = tuple[str, str, str, str]
"""Level, code, the day it began, full name."""


# -- ids ------------------------------------------------------------------------------------------


def name_units(country: Country, known: Mapping[KnownUnit, str]) -> tuple[int, int]:
    """Give every unit its id, the one it had or a new one; returns how many were kept, how many are new."""
    by_name = {(level, name, since): unit_id for (level, _, since, name), unit_id in known.items()}
    taken = set(known.values())
    by_code = {(level, code, since): unit_id for (level, code, since, _), unit_id in known.items()}
    kept = made = 0
    left: list[Unit] = []
    used: set[str] = set()
    for unit in country.units():
        found = by_code.get(unit.key)
        if found is None:
            left.append(unit)
        else:
            unit.unit_id = found
            used.add(found)
            kept += 1
    for unit in left:
        found = by_name.get((unit.level, unit.full_name, unit.valid_from))
        if found is not None and found not in used:  # its code was corrected
            unit.unit_id = found
            used.add(found)
            kept += 1
            continue
        unit.unit_id = _new_id(unit, taken)
        taken.add(unit.unit_id)
        made += 1
    return kept, made


def known_ids(path: Path) -> dict[KnownUnit, str]:
    """The ids that units have in a facts file."""
    if not path.exists():
        return {}
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return {
        (row["level"], row["code"], row["valid_from"], f"{row['kind']} {row['name']}"): row["unit_id"]
        for row in rows
    }


def _new_id(unit: Unit, taken: set[str]) -> str:
    """A readable id, once; nobody may read anything from it."""
    names = [unit.full_name]
    above = unit.parent
    while above is not None:
        names.append(above.name)
        above = above.parent
    plain = "-".join(letters(name) for name in names)
    former = plain + "-cu" if unit.valid_to else plain
    candidates = [plain, former, *(f"{former}-{number}" for number in range(2, 100))]
    return next(one for one in candidates if one not in taken)


def letters(name: str) -> str:
    """A name in small Latin letters, digits and hyphens: Mỹ as my."""
    apart = unicodedata.normalize("NFD", name.lower().replace("đ", "d"))
    return "-".join(
        re.findall(r"[a-z0-9]+", "".join(sign for sign in apart if not unicodedata.combining(sign)))
    )


# -- writing --------------------------------------------------------------------------------------


def written_units(country: Country) -> str:
    """The table of units, provinces first, then by code."""
    order = {"province": 0, "district": 1, "ward": 2}
    units = sorted(country.units(), key=lambda one: (order[one.level], one.valid_from, one.code))
    lines = []
    for unit in units:
        longitude, latitude = unit.label or ("", "")
        lines.append(
            (
                unit.unit_id, unit.level, unit.kind, unit.code, unit.name, unit.name_en,
                unit.parent.code if unit.parent else "", unit.valid_from, unit.valid_to, unit.legal_basis,
                unit.ended_by, unit.area_km2, unit.population, unit.population_on, unit.centre,
                str(longitude), str(latitude), "yes" if unit.verified else "",
            )
        )  # fmt: skip
    return table(COLUMNS, lines)


def written_links(country: Country) -> str:
    """The table of links, by what went."""
    lines = [
        (
            link.level, link.former.code, link.later.code, link.kind, link.share, link.people_share,
            link.takes_effect, link.legal_basis, "yes" if link.verified else "",
        )
        for link in country.links
    ]  # fmt: skip
    return table(LINK_COLUMNS, sorted(lines))


def table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Tab-separated, with its header."""
    for line in lines if isinstance(lines, list) else []:
        if any("\t" in cell or "\n" in cell for cell in line):
            raise SourceNotUnderstood(f"a tab or line feed in {line}")
    return HEADER + "\t".join(columns) + "\n" + "".join("\t".join(line) + "\n" for line in lines)


OUTLINES_HEADER = """\
# Outlines of units in degrees (WGS 84). A line `= id accuracy digits` begins one: how many metres it may be
# off, and of how many decimals its numbers are. Then a line a ring: `+` the outer ring of a part, `-` a hole
# in it, then longitude and latitude of the first point, then the step to each next one, as whole numbers of
# the last decimal; the last point, which is the first again, is left out.
"""


def written_outlines(country: Country) -> str:
    """The outlines, each ring on a line of steps."""
    lines = []
    for unit in sorted(country.units(), key=lambda one: one.unit_id):
        outline = country.outlines.get(id(unit))
        if outline is None:
            continue
        lines.append(f"= {unit.unit_id} {outline.accuracy_m} {outline.digits}")
        for part in shapely.get_parts(outline.shape):
            lines.append("+ " + steps(part.exterior, outline.digits))
            lines += ["- " + steps(hole, outline.digits) for hole in part.interiors]
    return OUTLINES_HEADER + "".join(line + "\n" for line in lines)


def steps(ring: BaseGeometry, digits: int) -> str:
    """A ring as whole numbers: its first point and the steps from each to the next."""
    points = np.rint(shapely.get_coordinates(ring)[:-1] * 10**digits).astype(np.int64)
    moves = np.diff(points, axis=0, prepend=np.zeros((1, 2), dtype=np.int64))
    return " ".join(map(str, moves.ravel().tolist()))


ATTRIBUTION = (
    "Ranh giới: sapnhap.bando.com.vn (Nhà xuất bản Tài nguyên, Môi trường và Bản đồ Việt Nam), "
    "qua thanglequoc/vietnamese-provinces-database (MIT)"
)
LAWS = "# What the keys of legal bases mean"
"""Where that part of units.toml begins which is written by hand."""


def written_description(known: str) -> str:
    """The description with its sources as they are here, and its laws and reporting areas as they were."""
    lines = [
        "# What units.tsv, links.tsv and outlines.txt are: written by tools/carry_units.py down to the laws.",
        'name = "units"',
        f"as_of = {AS_OF}",
        "# Earlier days are answered with the units of this one: nothing is known of them.",
        f"records_since = {RECORDS_SINCE}",
        'files = ["units.tsv", "links.tsv", "outlines.txt"]',
        'title = "Đơn vị hành chính Việt Nam, trước và từ 1/7/2025"',
        'provenance = """',
        *(f"{what}: {where} ({terms})." for what, where, terms in SOURCES),
        '"""',
        "# Each source on its own terms; no one licence covers the whole.",
        'licence = """',
        *(f"{what}: {terms}." for what, _, terms in SOURCES),
        '"""',
        f'attribution = "{ATTRIBUTION}"',
        "",
    ]
    return "\n".join(lines) + "\n" + known[known.index(LAWS) :]


def carry(folder: Path) -> tuple[Country, list[str]]:
    """Everything in the folder, put together; and what was corrected or is missing."""
    country = Country()
    read_lists(folder, country)
    notes = read_links(folder, country)
    notes += read_figures(folder, country)
    notes += read_outlines(folder, country)
    kept, made = name_units(country, known_ids(FACTS / "units.tsv"))
    notes.append(f"ids: {kept} kept, {made} new")
    return country, notes


if __name__ == "__main__":
    found, remarks = carry(Path(sys.argv[1]))
    for remark in remarks:
        print(remark)
    for file, text in {
        "units.tsv": written_units(found),
        "links.tsv": written_links(found),
        "outlines.txt": written_outlines(found),
        "units.toml": written_description((FACTS / "units.toml").read_text(encoding="utf-8")),
    }.items():
        (FACTS / file).write_text(text, encoding="utf-8")
        print(f"{file}: {len(text.encode()):,} bytes, {text.count(chr(10)):,} lines")
    tomllib.loads((FACTS / "units.toml").read_text(encoding="utf-8"))
