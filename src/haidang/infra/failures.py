"""What a failure in a consumer or a job means: whether trying again can help, and in which words."""

import asyncpg

from haidang.infra.database import is_transient
from haidang.infra.telemetry import strike_out
from haidang.kernel.errors import HaidangError

_LONGEST_REASON = 2000


def a_retry_helps(error: BaseException) -> bool:
    """True for the world's trouble; False for the caller's mistakes and for bugs."""
    if isinstance(error, HaidangError):
        return error.retry
    # A value the driver cannot encode is a bug, though the driver counts it among interface errors.
    return is_transient(error) and not isinstance(error, asyncpg.DataError)


def reason_of(error: BaseException) -> str:
    """The failure in one line, for the people who will look at it; no secrets, no personal data."""
    code = error.code() if isinstance(error, HaidangError) else type(error).__name__
    text = strike_out(" ".join(str(error).split()))
    return (f"{code}: {text}" if text else code)[:_LONGEST_REASON]
