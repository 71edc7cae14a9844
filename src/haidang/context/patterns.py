"""Patterns of other people, matched in time that grows with the text and not with its powers.

POSIX extended regular expressions (IEEE 1003.1, what NGSI-LD asks for) without back references: the
states that a text can be in are followed all at once (Thompson's construction), so that no pattern
and no text together take longer than their lengths multiplied. `re` would go back and try again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

LONGEST_PATTERN: Final = 200
MOST_STATES: Final = 400
LONGEST_TEXT: Final = 1_000
"""So much of a text is looked at."""

Sign: TypeAlias = Callable[[str], bool]

_CLASSES: Final[dict[str, Sign]] = {
    "alpha": str.isalpha,
    "digit": str.isdecimal,
    "alnum": str.isalnum,
    "upper": str.isupper,
    "lower": str.islower,
    "space": str.isspace,
    "punct": lambda sign: sign.isprintable() and not sign.isalnum() and not sign.isspace(),
}
_SHORT: Final[dict[str, Sign]] = {
    "d": str.isdecimal,
    "D": lambda sign: not sign.isdecimal(),
    "s": str.isspace,
    "S": lambda sign: not sign.isspace(),
    "w": lambda sign: sign.isalnum() or sign == "_",
    "W": lambda sign: not (sign.isalnum() or sign == "_"),
}
_SPECIAL: Final = frozenset(r".[]()*+?{}|^$\\")


class PatternMalformed(ValueError):
    """What is wrong with a pattern, in words."""


@dataclass(slots=True)
class _State:
    """One state: `sign` must fit to go on, or it goes on for free, perhaps only at an edge of the text."""

    sign: Sign | None = None
    edge: str = ""
    following: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that is ready: state 0 is where it begins, the last one where it has matched."""

    text: str
    states: tuple[_State, ...]

    def found_in(self, text: str) -> bool:
        """Whether some part of the text matches."""
        last = len(self.states) - 1
        text = text[:LONGEST_TEXT]
        here: set[int] = set()
        for place in range(len(text) + 1):
            here = self._for_free(here | {0}, begins=place == 0, ends=place == len(text))
            if last in here:
                return True
            if place < len(text):
                here = self._over(here, text[place])
        return False

    def _over(self, here: set[int], sign: str) -> set[int]:
        return {
            following
            for number in here
            for state in (self.states[number],)
            if state.sign is not None and state.sign(sign)
            for following in state.following
        }

    def _for_free(self, here: set[int], *, begins: bool, ends: bool) -> set[int]:
        reached, waiting = set(here), list(here)
        while waiting:
            state = self.states[waiting.pop()]
            closed = (state.edge == "^" and not begins) or (state.edge == "$" and not ends)
            if state.sign is not None or closed:
                continue
            for following in state.following:
                if following not in reached:
                    reached.add(following)
                    waiting.append(following)
        return reached


def read_pattern(text: str) -> Pattern:
    """The pattern that a text means; raises PatternMalformed."""
    if len(text) > LONGEST_PATTERN:
        raise PatternMalformed(f"it is longer than {LONGEST_PATTERN} characters")
    return _Reader(text).read()


_Piece: TypeAlias = tuple[int, int]
"""The state in which a piece begins, and the state in which it has matched."""


class _Reader:
    """Reads a pattern from left to right and builds its states."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._depth = 0
        self._states: list[_State] = [_State()]

    def read(self) -> Pattern:
        first, last = self._alternatives()
        if self._place < len(self._text):
            raise PatternMalformed("a ) closes nothing")
        self._states[0].following.append(first)
        end = self._state()
        self._states[last].following.append(end)
        return Pattern(self._text, tuple(self._states))

    def _state(self, sign: Sign | None = None, edge: str = "") -> int:
        if len(self._states) >= MOST_STATES:
            raise PatternMalformed("it is too complex")
        self._states.append(_State(sign, edge))
        return len(self._states) - 1

    def _next(self) -> str:
        return self._text[self._place] if self._place < len(self._text) else ""

    def _take(self) -> str:
        sign = self._next()
        self._place += 1
        return sign

    def _alternatives(self) -> _Piece:
        pieces = [self._sequence()]
        while self._next() == "|":
            self._place += 1
            pieces.append(self._sequence())
        if len(pieces) == 1:
            return pieces[0]
        begin, end = self._state(), self._state()
        for first, last in pieces:
            self._states[begin].following.append(first)
            self._states[last].following.append(end)
        return begin, end

    def _sequence(self) -> _Piece:
        begin = last = self._state()
        while self._next() not in ("", "|", ")"):
            first, after = self._repeated()
            self._states[last].following.append(first)
            last = after
        return begin, last

    def _repeated(self) -> _Piece:
        began = self._place
        piece = self._one()
        ended = self._place
        sign = self._next()
        if sign and sign in "*+?":
            self._place += 1
            piece = self._times(piece, began, ended, *{"*": (0, None), "+": (1, None), "?": (0, 1)}[sign])
        elif sign == "{":
            piece = self._times(piece, began, ended, *self._bounds())
        if self._next() and self._next() in "*+?{":
            raise PatternMalformed(f"a repetition is repeated at character {self._place + 1}")
        return piece

    def _bounds(self) -> tuple[int, int | None]:
        end = self._text.find("}", self._place)
        least, comma, most = self._text[self._place + 1 : end].partition(",")
        if end < 0 or not least.isdecimal() or (most and not most.isdecimal()):
            raise PatternMalformed("a {…} is not a number of times")
        self._place = end + 1
        fewest = int(least)
        largest = fewest if not comma else int(most) if most else None
        if largest is not None and largest < fewest:
            raise PatternMalformed("a {…} asks for fewer than its least")
        return fewest, largest

    def _times(self, piece: _Piece, began: int, ended: int, least: int, most: int | None) -> _Piece:
        """The piece so many times; each time after the first is read again, as states of its own."""
        begin = last = self._state()
        copies = max(1, least if most is None else most)
        after = self._place
        skips: list[int] = []
        for number in range(copies):
            first, end = piece if number == 0 else self._again(began, ended)
            if number >= least:
                skips.append(last)
            self._states[last].following.append(first)
            if most is None and number == copies - 1:
                self._states[end].following.append(first)
            last = end
        self._place = after
        finish = self._state()
        for one in (*skips, last):
            self._states[one].following.append(finish)
        if most == 0:
            self._states[begin].following[:] = [finish]
        return begin, finish

    def _again(self, began: int, ended: int) -> _Piece:
        self._place = began
        piece = self._one()
        self._place = ended
        return piece

    def _one(self) -> _Piece:
        sign = self._take()
        if sign == "(":
            return self._group()
        edge = sign in ("^", "$")
        state = self._state(edge=sign) if edge else self._state(self._sign(sign))
        end = self._state()
        self._states[state].following.append(end)
        return state, end

    def _group(self) -> _Piece:
        if self._next() == "?":
            raise PatternMalformed("(?…) is not known here")
        self._depth += 1
        if self._depth > 20:
            raise PatternMalformed("it is too complex")
        piece = self._alternatives()
        self._depth -= 1
        if self._take() != ")":
            raise PatternMalformed("a ( is not closed")
        return piece

    def _sign(self, sign: str) -> Sign:
        if sign == ".":
            return lambda _: True
        if sign == "[":
            return self._set()
        if sign == "\\":
            return self._escaped()
        if sign in "*+?{":
            raise PatternMalformed(f"{sign} repeats nothing")
        return lambda given, sign=sign: given == sign  # type: ignore[misc]  # mypy cannot type a default

    def _escaped(self) -> Sign:
        sign = self._take()
        if sign in _SHORT:
            return _SHORT[sign]
        if sign in _SPECIAL or (sign and not sign.isalnum()):
            return lambda given: given == sign
        raise PatternMalformed(f"\\{sign} is not known here")

    def _set(self) -> Sign:
        negated = self._next() == "^"
        if negated:
            self._place += 1
        members: list[Sign] = list(self._members())
        return lambda sign: any(one(sign) for one in members) is not negated

    def _members(self) -> Iterator[Sign]:
        first = True
        while True:
            sign = self._take()
            if not sign:
                raise PatternMalformed("a [ is not closed")
            if sign == "]" and not first:
                return
            first = False
            if sign == "[" and self._next() == ":":
                yield self._named()
            elif sign == "\\":
                yield self._escaped()
            elif self._next() == "-" and self._text[self._place + 1 : self._place + 2] not in ("]", ""):
                self._place += 1
                last = self._take()
                if last < sign:
                    raise PatternMalformed(f"{sign}-{last} is no range")
                yield lambda given, sign=sign, last=last: sign <= given <= last  # type: ignore[misc]  # as above
            else:
                yield lambda given, sign=sign: given == sign  # type: ignore[misc]  # as above

    def _named(self) -> Sign:
        end = self._text.find(":]", self._place)
        name = self._text[self._place + 1 : end]
        if end < 0 or name not in _CLASSES:
            raise PatternMalformed("a [:…:] is not known here")
        self._place = end + 2
        return _CLASSES[name]
