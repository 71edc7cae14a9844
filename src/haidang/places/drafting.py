"""A change of units as people write it, in a file or a form, and read into a draft.

Resolutions speak of merges, splits, new names and moved boundaries; a draft (`changes.py`) knows only
units that begin and what each is made of. Units are named by their id or by the official code
that they bear on the eve of the change.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import shapely
from msgspec import Meta

from haidang.kernel.errors import Invalid
from haidang.kernel.geometry import GeometryMalformed, check_geometry
from haidang.kernel.shapes import ShapeCrossesItself, shape_of
from haidang.places.changes import Beginning, Draft, NewId, Source
from haidang.places.model import Level, Unit


class ChangeMalformed(Invalid):
    """The draft of a change of units cannot be read: {problem}."""


class ChangeSaysNothing(Invalid):
    """The draft changes no unit: it needs a merge, a split, a rename, a move or a boundary."""


class UnitSaidTwice(Invalid):
    """The draft says twice what becomes of {unit}."""


class UnitOfChangeUnknown(Invalid):
    """The draft names {unit}, which is no unit's id and no code in use on the eve of the change."""


class OutlineMalformed(Invalid):
    """The outline given for {unit} is no area: {problem}."""


Text = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+$")]
"""Without control characters: PostgreSQL keeps no NUL, and nobody sees the others."""
Share = Annotated[float, Meta(gt=0, le=1)]
PeopleShare = Annotated[float, Meta(ge=0, le=1)]
"""Of some parts it is said that nobody lives there: only land goes."""


class WrittenUnit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A unit that begins, as a draft says it. What is left out is taken from what it is made of."""

    kind: Text
    name: Text
    code: Text
    name_en: Text | None = None
    parent: Text | None = None
    centre: Text | None = None
    population: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    population_on: date | None = None
    area_km2: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    outline: dict[str, Any] | None = None
    holds: tuple[Text, ...] = ()


class WrittenPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a unit that goes into another: a share of its area, an outline, or the rest of it."""

    unit: Text
    share: Share | None = None
    people_share: PeopleShare | None = None
    outline: dict[str, Any] | None = None


class Merge(WrittenUnit, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"wholes": "from"}):
    """Whole units, and parts of others, become one."""

    wholes: tuple[Text, ...] = ()
    parts: tuple[WrittenPart, ...] = ()


class Piece(WrittenUnit, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the units that another is split into; without share and outline it gets the rest."""

    share: Share | None = None
    people_share: PeopleShare | None = None


class Split(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"whole": "from"}):
    """A unit becomes several."""

    whole: Text
    into: Annotated[tuple[Piece, ...], Meta(min_length=2)]


class Rename(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A unit goes on under another name, kind or code, or below another unit."""

    unit: Text
    kind: Text | None = None
    name: Text | None = None
    name_en: Text | None = None
    code: Text | None = None
    parent: Text | None = None


class Move(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"giver": "from"}):
    """A part of a unit goes to a neighbour; both keep their names and codes."""

    giver: Text
    to: Text
    share: Share | None = None
    people_share: PeopleShare | None = None
    outline: dict[str, Any] | None = None


class Redrawn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A unit whose boundary moves, and its outline from then on."""

    unit: Text
    outline: dict[str, Any]


class Boundary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Neighbours whose common boundary moves: their new outlines say what went where."""

    between: Annotated[tuple[Redrawn, ...], Meta(min_length=2)]


class WrittenChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change as a file or a form brings it. Units are named by id, or by their code on the eve.

    `keep` names units that go on with what the others leave them.
    """

    title: Text
    takes_effect: date
    legal_basis: Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")] = ""
    level: Level = Level.WARD
    merge: tuple[Merge, ...] = ()
    split: tuple[Split, ...] = ()
    rename: tuple[Rename, ...] = ()
    move: tuple[Move, ...] = ()
    boundary: tuple[Boundary, ...] = ()
    keep: tuple[Text, ...] = ()


def read_change(text: bytes, *, toml: bool) -> WrittenChange:
    """A draft out of a TOML or JSON file; raises ChangeMalformed with what is wrong and where."""
    try:
        if toml:
            return msgspec.toml.decode(text, type=WrittenChange)
        return msgspec.json.decode(text, type=WrittenChange)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise ChangeMalformed(problem=str(wrong)) from None
    except RecursionError:
        raise ChangeMalformed(problem="nested too deeply") from None


def named_units(written: WrittenChange) -> set[str]:
    """Every id or code that a draft names."""
    found: set[str | None] = set()
    for merge in written.merge:
        found |= {*merge.wholes, *(part.unit for part in merge.parts), merge.parent, *merge.holds}
    for split in written.split:
        found.add(split.whole)
        for piece in split.into:
            found |= {piece.parent, *piece.holds}
    for rename in written.rename:
        found |= {rename.unit, rename.parent}
    for move in written.move:
        found |= {move.giver, move.to}
    for boundary in written.boundary:
        found |= {one.unit for one in boundary.between}
    found |= set(written.keep)
    return {one for one in found if one is not None}


def resolve_draft(written: WrittenChange, known: Mapping[str, Unit], new_id: NewId) -> Draft:
    """Find every unit a draft names and give each that begins its id.

    `known` maps ids and codes to units. Raises UnitOfChangeUnknown, ChangeMalformed, OutlineMalformed.
    """
    begins = [*_from_merges(written, known), *_from_splits(written, known)]
    begins += _from_goings_on(written, known, begins)
    if not begins:
        raise ChangeSaysNothing
    return Draft(
        title=written.title,
        takes_effect=written.takes_effect,
        legal_basis=written.legal_basis.strip(),
        level=written.level,
        begins=tuple(
            msgspec.structs.replace(one, unit_id=new_id(one.full_name, one.code, written.takes_effect))
            for one in begins
        ),
    )


def _unit(known: Mapping[str, Unit], name: str) -> Unit:
    found = known.get(name)
    if found is None:
        raise UnitOfChangeUnknown(unit=name)
    return found


def _outline(outline: dict[str, Any] | None, of: str) -> dict[str, Any] | None:
    """A GeoJSON polygon as it was given; raises OutlineMalformed with what is wrong."""
    if outline is None:
        return None
    try:
        check_geometry(outline)
    except GeometryMalformed as wrong:
        raise OutlineMalformed(unit=of, problem=wrong.sentence()) from None
    if outline["type"] not in {"Polygon", "MultiPolygon"}:
        raise OutlineMalformed(unit=of, problem=outline["type"])
    try:
        drawn = shape_of(outline)
    except ShapeCrossesItself as wrong:
        raise OutlineMalformed(unit=of, problem=str(wrong.fields["problem"])) from None
    plain: dict[str, Any] = msgspec.json.decode(shapely.to_geojson(drawn))
    return plain


def _beginning(
    written: WrittenUnit,
    level: Level,
    made_of: Sequence[Source],
    known: Mapping[str, Unit],
) -> Beginning:
    former = [known_one for known_one in known.values() if known_one.unit_id in {s.from_id for s in made_of}]
    parents = {one.parent_id for one in former}
    return Beginning(
        unit_id="",
        level=level,
        kind=written.kind,
        code=written.code,
        name=written.name,
        made_of=tuple(made_of),
        name_en=written.name_en,
        parent_id=_unit(known, written.parent).unit_id
        if written.parent
        else (parents.pop() if len(parents) == 1 else None),
        centre=written.centre,
        population=written.population,
        population_on=written.population_on,
        area_km2=None if written.area_km2 is None else Decimal(str(written.area_km2)),
        outline=_outline(written.outline, written.name),
        holds=tuple(_unit(known, one).unit_id for one in written.holds),
    )


def _source(part: WrittenPart, known: Mapping[str, Unit]) -> Source:
    given = part.share is not None or part.outline is not None
    return Source(
        from_id=_unit(known, part.unit).unit_id,
        share=part.share,
        people_share=part.people_share,
        outline=_outline(part.outline, part.unit),
        rest=not given,
    )


def _from_merges(written: WrittenChange, known: Mapping[str, Unit]) -> Iterator[Beginning]:
    for merge in written.merge:
        wholes = [Source(from_id=_unit(known, one).unit_id, share=1.0) for one in merge.wholes]
        parts = [_source(part, known) for part in merge.parts]
        if not wholes and not parts:
            raise ChangeMalformed(problem=f"merge {merge.name}: from?")
        yield _beginning(merge, written.level, [*wholes, *parts], known)


def _from_splits(written: WrittenChange, known: Mapping[str, Unit]) -> Iterator[Beginning]:
    for split in written.split:
        for piece in split.into:
            part = WrittenPart(
                unit=split.whole,
                share=piece.share,
                people_share=piece.people_share,
                outline=piece.outline,
            )
            yield _beginning(piece, written.level, [_source(part, known)], known)


def _from_goings_on(
    written: WrittenChange, known: Mapping[str, Unit], others: Sequence[Beginning]
) -> Iterator[Beginning]:
    """Units that go on as themselves: renamed, giving or getting a part, redrawn, kept; each once."""
    by_id = {unit.unit_id: unit for unit in known.values()}
    names: dict[str, Rename] = {}
    for rename in written.rename:
        unit = _unit(known, rename.unit)
        if unit.unit_id in names:
            raise UnitSaidTwice(unit=unit.full_name)
        names[unit.unit_id] = rename
    redrawn: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {}
    for boundary in written.boundary:
        together = tuple(_unit(known, one.unit).unit_id for one in boundary.between)
        for unit_id, one in zip(together, boundary.between, strict=True):
            if unit_id in redrawn or together.count(unit_id) > 1:
                raise UnitSaidTwice(unit=by_id[unit_id].full_name)
            outline = _outline(one.outline, by_id[unit_id].full_name)
            redrawn[unit_id] = (outline or {}, tuple(sorted(together, key=unit_id.__ne__)))
    moves = [(_unit(known, one.giver).unit_id, _unit(known, one.to).unit_id, one) for one in written.move]
    kept = [_unit(known, one).unit_id for one in written.keep]
    ends_whole = {source.from_id for one in others for source in one.made_of if source.share == 1.0}
    moving = [unit_id for giver, to, _ in moves for unit_id in (giver, to)]
    for unit_id in dict.fromkeys([*names, *redrawn, *moving, *kept]):
        unit, renamed = by_id[unit_id], names.get(unit_id)
        if unit_id in ends_whole or (unit_id in redrawn and unit_id in moving):
            raise UnitSaidTwice(unit=unit.full_name)
        if unit_id in redrawn:
            outline, together = redrawn[unit_id]
            made_of = tuple(Source(from_id=one, outline=outline) for one in together)
        else:
            outline = None
            gives = any(giver == unit_id for giver, _, _ in moves)
            gives = gives or any(source.from_id == unit_id for one in others for source in one.made_of)
            own = Source(from_id=unit_id, rest=True) if gives else Source(from_id=unit_id, share=1.0)
            gained = (
                WrittenPart(
                    unit=giver, share=move.share, people_share=move.people_share, outline=move.outline
                )
                for giver, to, move in moves
                if to == unit_id
            )
            made_of = (own, *(_source(part, by_id) for part in gained))
        yield Beginning(
            unit_id="",
            level=unit.level,
            kind=(renamed and renamed.kind) or unit.kind,
            code=(renamed and renamed.code) or unit.code,
            name=(renamed and renamed.name) or unit.name,
            name_en=renamed.name_en if renamed and (renamed.name_en or renamed.name) else unit.name_en,
            parent_id=_unit(known, renamed.parent).unit_id if renamed and renamed.parent else unit.parent_id,
            centre=unit.centre,
            made_of=made_of,
            outline=outline,
        )
