"""The five levels of disaster risk: Article 4 of Decision 18/2021/QĐ-TTg names their colours and words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RiskLevel:
    """One level: 1 (low) to 5 (disaster), its colour as #rrggbb, and its words as a message id.

    The Decision names colours ("xanh dương nhạt"), not figures: these are ours, told apart by
    people who see colours differently, and never without the word and the shape.
    """

    level: int
    colour: str
    label: str


RISK_LABELS = {
    1: "Risk level 1 (low)",
    2: "Risk level 2 (medium)",
    3: "Risk level 3 (high)",
    4: "Risk level 4 (very high)",
    5: "Risk level 5 (disaster)",
}

_COLOURS = {1: "#a8daf5", 2: "#fff2a8", 3: "#ff9a1f", 4: "#ff0000", 5: "#8a2fa8"}

RISK_LEVELS = {level: RiskLevel(level, _COLOURS[level], label) for level, label in RISK_LABELS.items()}
"""Each level by its number."""
