"""The parameters of queries: which types, which attributes, which time, how it shall look."""

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Literal, cast

from haidang.context.fragments import NotOfferedYet
from haidang.context.jsonld import TermContext
from haidang.context.model import Selection, is_uri
from haidang.context.representations import Look
from haidang.context.service import TimeFrame
from haidang.web.api.ngsi_ld.problems import ParameterWrong, TooManyAsked
from haidang.web.api.ngsi_ld.requests import Request

DEFAULT_LIMIT: Final = 20
MOST: Final = 1000
_MOST_TYPE_GROUPS = 64
_MOST_PARENTHESES = 32
_LONGEST_PATTERN = 200
_TICK = timedelta(microseconds=1)

SELECTING: Final = frozenset({"id", "type", "idPattern", "attrs", "local"})
PROJECTING: Final = frozenset({"attrs", "pick", "omit", "options", "format"})
PAGING: Final = frozenset({"limit", "offset", "count"})
TIMING: Final = frozenset({"timerel", "timeAt", "endTimeAt", "timeproperty", "lastN"})
KNOWN_AT: Final = "knownAt"

LATER: Final = frozenset(
    {
        "q",
        "georel",
        "geometry",
        "coordinates",
        "geoproperty",
        "geometryProperty",
        "scopeQ",
        "csf",
        "lang",
        "datasetId",
        "join",
        "joinLevel",
        "containedBy",
        "expandValues",
        "jsonKeys",
        "orderBy",
        "collation",
        "orderGeometry",
        "orderFrom",
        "entityMap",
        "splitEntities",
        "via",
        "firstN",
        "aggrMethods",
        "aggrPeriodDuration",
    }
)
"""Parameters of the standard that another release brings; they are refused, not overlooked."""


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page, and whether to count."""

    limit: int
    offset: int
    count: bool


def read_paging(request: Request) -> Paging:
    """`limit`, `offset` and `count`; raises TooManyAsked."""
    limit = request.number("limit", DEFAULT_LIMIT)
    count = request.flag("count")
    if limit > MOST:
        raise TooManyAsked(most=MOST)
    if limit == 0 and not count:
        raise ParameterWrong(reason="A limit of 0 makes sense only with count=true")
    return Paging(limit, request.number("offset", 0), count)


def read_selection(request: Request, terms: TermContext) -> Selection:
    """`type`, `id`, `idPattern` and `attrs`; `type`, `attrs` or `local` must be there."""
    if (
        not request.parameters.get("type")
        and not request.parameters.get("attrs")
        and not request.flag("local")
    ):
        raise ParameterWrong(reason="a query needs at least one of type, attrs or local=true")
    ids = request.names("id")
    for one in ids or ():
        if not is_uri(one):
            raise ParameterWrong(reason=f"{one[:200]} in id is not a URI")
    pattern = request.parameters.get("idPattern")
    if pattern is not None and (not 0 < len(pattern) <= _LONGEST_PATTERN or "\x00" in pattern):
        raise ParameterWrong(reason=f"idPattern must have 1 to {_LONGEST_PATTERN} characters")
    attributes = request.names("attrs")
    return Selection(
        type_groups=read_types(request, terms),
        entity_ids=None if ids is None else tuple(ids),
        id_pattern=pattern,
        attributes=None if attributes is None else tuple(terms.expand(one) for one in attributes),
    )


def picked(selection: Selection, look: Look) -> Selection:
    """The selection without entities of which nothing would be shown: pick chooses entities too."""
    if look.members or look.attributes is None or selection.attributes is not None:
        return selection
    return replace(selection, attributes=tuple(look.attributes))


def read_types(request: Request, terms: TermContext) -> tuple[tuple[str, ...], ...]:
    """The type selector as alternatives of groups: `A,(B;C)` is A, or B and C together (clause 4.17)."""
    text = request.parameters.get("type")
    if text is None:
        return ()
    if text.count("(") > _MOST_PARENTHESES:
        raise ParameterWrong(reason=f"The type selector has more than {_MOST_PARENTHESES} parentheses")
    groups, rest = _alternatives(text, terms)
    if rest:
        raise ParameterWrong(reason=f"The type selector cannot be read at {rest[:40]}")
    return tuple(dict.fromkeys(tuple(sorted(group)) for group in groups))


def _alternatives(text: str, terms: TermContext) -> tuple[list[frozenset[str]], str]:
    groups, rest = _conjunction(text, terms)
    while rest[:1] in {",", "|"}:
        more, rest = _conjunction(rest[1:], terms)
        groups = groups + more
    return groups, rest


def _conjunction(text: str, terms: TermContext) -> tuple[list[frozenset[str]], str]:
    groups, rest = _one_type(text, terms)
    while rest[:1] == ";":
        more, rest = _one_type(rest[1:], terms)
        groups = [one | other for one in groups for other in more]
        if len(groups) > _MOST_TYPE_GROUPS:
            raise ParameterWrong(reason="The type selector has too many alternatives")
    return groups, rest


def _one_type(text: str, terms: TermContext) -> tuple[list[frozenset[str]], str]:
    if text.startswith("("):
        groups, rest = _alternatives(text[1:], terms)
        if not rest.startswith(")"):
            raise ParameterWrong(reason="A parenthesis of the type selector is not closed")
        return groups, rest[1:]
    end = next((place for place, letter in enumerate(text) if letter in ",|;()"), len(text))
    if not text[:end].strip():
        raise ParameterWrong(reason="The type selector names no type")
    return [frozenset({terms.expand(text[:end].strip())})], text[end:]


def read_look(request: Request, terms: TermContext) -> Look:
    """How the answer shall look: `options`, `format`, `attrs`, `pick` and `omit`."""
    forms = request.options() - {"sysAttrs"}
    for one in forms - {"normalized", "concise", "simplified"}:
        raise NotOfferedYet(what=f"the representation {one}")
    if len(forms) > 1:
        raise ParameterWrong(reason="Only one representation can be chosen")
    pick, omit = request.names("pick"), request.names("omit")
    for one in (*(pick or ()), *(omit or ())):
        _check_picked(one)
    attributes = request.names("attrs")
    if attributes is not None and (pick is not None or omit is not None):
        raise ParameterWrong(reason="attrs does not go together with pick or omit")
    if set(pick or ()) & set(omit or ()):
        raise ParameterWrong(reason="a name cannot be picked and omitted")
    chosen = pick if pick is not None else attributes
    return Look(
        form=cast('Literal["normalized", "concise", "simplified"]', next(iter(forms), "normalized")),
        sys_attrs="sysAttrs" in request.options(),
        attributes=None
        if chosen is None
        else frozenset(terms.expand(one) for one in chosen if one not in HEAD),
        omitted=frozenset(terms.expand(one) for one in omit or () if one not in HEAD),
        members=HEAD - set(omit or ()) if pick is None else HEAD & set(pick) - set(omit or ()),
    )


HEAD: Final = frozenset({"id", "type", "scope"})
_NAME = r"[^{},;()<>\"'=\s]+"
_PATH = re.compile(rf"{_NAME}(?:\{{.+\}})?")


def _check_picked(name: str) -> None:
    """Refuse what is neither a name nor, one day, a path to linked entities."""
    if not _PATH.fullmatch(name):
        raise ParameterWrong(reason=f"{name[:80]} cannot be picked or omitted")
    if "{" in name or ("." in name and not is_uri(name)):
        raise NotOfferedYet(what="a path within pick or omit")


def read_frame(request: Request, *, needed: bool, most: int) -> TimeFrame:
    """The temporal query: `timerel`, `timeAt`, `endTimeAt`, `timeproperty`, `lastN` (clause 4.11)."""
    relation = request.parameters.get("timerel")
    at, end = request.instant("timeAt"), request.instant("endTimeAt")
    last_n = request.number("lastN", 0) if "lastN" in request.parameters else None
    if last_n == 0:
        raise ParameterWrong(reason="lastN must be 1 or more")
    by = request.parameters.get("timeproperty", "observedAt")
    if by not in {"observedAt", "createdAt", "modifiedAt", "deletedAt"}:
        raise ParameterWrong(reason="timeproperty must be observedAt, createdAt, modifiedAt or deletedAt")
    if relation is None:
        if needed or at is not None or end is not None:
            raise ParameterWrong(reason="A temporal query needs timerel and timeAt")
        named = "timeproperty" in request.parameters
        return TimeFrame(by=by if named else "any", last_n=last_n, most=most)  # type: ignore[arg-type]  # checked above
    if relation not in {"before", "after", "between"} or at is None:
        raise ParameterWrong(reason="timerel must be before, after or between, and timeAt a date and time")
    if (relation == "between") != (end is not None):
        raise ParameterWrong(reason="endTimeAt belongs to timerel=between, and to nothing else")
    if end is not None and end <= at:
        raise ParameterWrong(reason="endTimeAt must be later than timeAt")
    since = {"before": None, "after": at + _TICK, "between": at}[relation]
    return TimeFrame(by=by, since=since, upto=at if relation == "before" else end, last_n=last_n, most=most)  # type: ignore[arg-type]  # checked above
