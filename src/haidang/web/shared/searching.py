"""How one search box finds things of every room: folded words, word by word, and what was matched.

A room or face that wants its things found brings a `SearchSource`; nothing here knows what there is.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from markupsafe import Markup, escape

from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.kernel.instants import Instant
from haidang.kernel.text import collation_key, fold, nfc
from haidang.sdk.model import SearchHit

LONGEST = 200
"""How many characters of what was typed are looked at."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody typed: as it is shown again, and the folded words that are looked for."""

    text: str
    words: tuple[str, ...]

    @property
    def folded(self) -> str:
        """The words as one folded text."""
        return " ".join(self.words)

    def fit_of(self, text: str) -> int | None:
        """How well a text answers, 0 best: it is what was typed, begins so, has it, has all its words.

        A word is found by its beginning ("phan thi"), diacritics or none; None where one is missing.
        """
        if not self.words:
            return None
        folded = fold(text)
        if folded == self.folded:
            return 0
        if folded.startswith(self.folded):
            return 1
        if f" {self.folded}" in f" {folded}":
            return 2
        parts = folded.split()
        return 3 if all(any(part.startswith(word) for part in parts) for word in self.words) else None

    def marked(self, text: str) -> Markup:
        """The text with the words that were matched in `<mark>`, everything escaped."""
        shown, end = Markup(), 0
        for found in _WORD.finditer(nfc(text)):
            parts = fold(found[0]).split()
            if any(part.startswith(word) for part in parts for word in self.words):
                shown += escape(nfc(text)[end : found.start()]) + Markup("<mark>{}</mark>").format(found[0])
                end = found.end()
        return shown + escape(nfc(text)[end:])


def question_of(typed: str) -> Question:
    """What was typed, without what cannot be seen, and not longer than anybody types."""
    text = " ".join(_UNSEEN.sub(" ", nfc(typed[: 4 * LONGEST])).split())[:LONGEST].strip()
    return Question(text, tuple(fold(text).split()))


@dataclass(frozen=True, slots=True)
class Asked:
    """One search: what is looked for, by whom, in which language, when."""

    actor: Actor
    question: Question
    locale: str
    now: Instant


class SearchSource(Protocol):
    """Things of one kind that can be found. `label` is a message id and heads their group."""

    @property
    def label(self) -> str:
        """What the group is called."""
        ...

    async def find(self, connection: Connection, asked: Asked, most: int) -> Sequence[SearchHit]:
        """The best hits, best first."""
        ...


def best_hits(question: Question, hits: Iterable[SearchHit], most: int) -> list[SearchHit]:
    """Those whose title answers, or whose line about them has every word; best first, then in order."""
    ranked = []
    for hit in hits:
        fit = question.fit_of(hit.title)
        if fit is None and question.fit_of(f"{hit.title} {hit.detail}") is not None:
            fit = 4
        if fit is not None:
            ranked.append((fit, collation_key(hit.title), hit))
    return [hit for _, _, hit in sorted(ranked, key=lambda one: one[:2])[:most]]
