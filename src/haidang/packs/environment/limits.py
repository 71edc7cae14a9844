"""The limits of QCVN 05:2023/BTNMT as dated data, read from `limits.toml`."""

import tomllib
from datetime import date
from pathlib import Path

from haidang.sdk.model import Limit

NORMALISED = "per cubic metre under the regulation's normal conditions (Nm³)"


def read_limits(text: str) -> tuple[Limit, ...]:
    """The limits of one norm: what stands at the top of the file goes for every limit in it."""
    norm = tomllib.loads(text)
    return tuple(
        Limit(
            attribute=one["attribute"],
            averaging=one["averaging"],
            value=float(one["value"]),
            unit=norm["unit"],
            norm=norm["norm"],
            valid_from=one.get("from", norm["from"]),
            valid_to=one.get("to"),
            verified=one["verified"],
            note=NORMALISED,
        )
        for one in norm["limit"]
    )


def limit_of(limits: tuple[Limit, ...], attribute: str, averaging: str, on: date) -> Limit | None:
    """The limit in force on a day; none where the norm sets none."""
    return next(
        (
            one
            for one in limits
            if one.attribute == attribute
            and one.averaging == averaging
            and one.valid_from <= on
            and (one.valid_to is None or on <= one.valid_to)
        ),
        None,
    )


LIMITS = read_limits(Path(__file__).with_name("limits.toml").read_text(encoding="utf-8"))
