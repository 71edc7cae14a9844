"""What the platform says of itself: log lines, figures, and traces when somebody collects them.

One event per line, with the trace it belongs to; secrets and personal data are struck out
before a line is written. Figures of several processes are one page: where
`PROMETHEUS_MULTIPROC_DIR` names a folder (as `haidang up` has it) every process keeps its own
file there and any of them can answer for all; elsewhere a process answers for itself.
"""

import importlib
import json
import logging
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from haidang.infra.settings import Settings

METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

REDACTED = "[redacted]"
PERSONAL = "[personal]"

# --- Traces -----------------------------------------------------------------------------------


class Trace(NamedTuple):
    """Where we are in a trace (W3C Trace Context): 32 and 16 hexadecimal digits, and "keep it"."""

    trace_id: str
    span_id: str
    sampled: bool


class Tracer(Protocol):
    """Whatever collects spans; there is none unless an OTLP endpoint is configured."""

    def span(
        self, name: str, parent: Trace | None, attributes: Mapping[str, Any]
    ) -> AbstractContextManager[Trace]:
        """Open a span under the current one, or under `parent` when given."""
        ...

    def close(self) -> None:
        """Send what is still waiting."""
        ...


_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_trace: ContextVar[Trace | None] = ContextVar("haidang_trace", default=None)
_NOTHING: AbstractContextManager[None] = nullcontext()


class _Collected:
    tracer: Tracer | None = None


def parse_traceparent(header: str | None) -> Trace | None:
    """The trace a caller is in, from its `traceparent` header; None when absent or malformed."""
    match = _TRACEPARENT.fullmatch(header.strip()) if header else None
    if match is None or match["version"] == "ff" or (match["version"] == "00" and match["more"]):
        return None
    if not int(match["trace"], 16) or not int(match["span"], 16):
        return None
    return Trace(match["trace"], match["span"], bool(int(match["flags"], 16) & 1))


def new_trace(trace_id: str | None = None) -> Trace:
    """A place in a new trace, or a new place in the trace of that id."""
    return Trace(trace_id or secrets.token_hex(16), secrets.token_hex(8), sampled=True)


def current_trace_id() -> str | None:
    """The id of the trace we are in, if any."""
    current = _trace.get()
    return current.trace_id if current else None


def traceparent() -> str | None:
    """The header that hands the current trace to a server we call."""
    current = _trace.get()
    return f"00-{current.trace_id}-{current.span_id}-{int(current.sampled):02x}" if current else None


@contextmanager
def trace(name: str, /, *, parent: Trace | None = None, **attributes: Any) -> Iterator[Trace]:
    """A request, message or job: continue the trace of `parent` or begin one."""
    tracer = _Collected.tracer
    if tracer is None:
        place = new_trace(parent.trace_id if parent else None)
        token = _trace.set(place._replace(sampled=parent.sampled) if parent else place)
        try:
            yield _trace.get() or place
        finally:
            _trace.reset(token)
        return
    with tracer.span(name, parent, _struck_out(attributes)) as place:
        token = _trace.set(place)
        try:
            yield place
        finally:
            _trace.reset(token)


def span(name: str, /, **attributes: Any) -> AbstractContextManager[Any]:
    """A step within the current trace; costs nothing unless traces are collected."""
    if _Collected.tracer is None:
        return _NOTHING
    return trace(name, **attributes)


def configure_tracing(endpoint: str | None, part: str) -> Callable[[], None]:
    """Collect traces and send them to an OTLP endpoint, if one is given; returns what stops it."""
    if endpoint is None:
        return lambda: None
    # Imported only here: the collector's libraries cost every other process a quarter of a second at start.
    collector = importlib.import_module("haidang.infra.traces")
    tracer: Tracer = collector.open_tracer(endpoint, part)
    _Collected.tracer = tracer

    def stop() -> None:
        _Collected.tracer = None
        tracer.close()

    return stop


# --- Log lines --------------------------------------------------------------------------------

_SECRET_NAME = re.compile(
    r"authori[sz]ation|cookie|passw|secret|token|api[-_]?key|credential|private[-_]?key|^dsn$|signature|nonce",
    re.IGNORECASE,
)
_PERSONAL_NAME = re.compile(
    r"^(client(_?(ip|host|addr(ess)?))?|ip|remote_?(addr|ip|host)|x-forwarded-for|user_?agent|"
    r"full_?name|person(_name)?|phone(_number)?|e?mail|address|birth_?(day|date)|date_of_birth|"
    r"cccd|cmnd|citizen_?id|national_?id|passport|plate|body|payload)$",
    re.IGNORECASE,
)
# Each begins where a word begins and is bounded, so that no text makes it look back for long.
_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"(?P<keep>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}://)[^\s/@:]{0,256}:[^\s/@]{0,512}@",
            re.IGNORECASE,
        ),
        rf"\g<keep>{REDACTED}@",
    ),
    (re.compile(r"(?P<keep>\b(?:bearer|basic)\s{1,4})[\w.~+/=-]+", re.IGNORECASE), rf"\g<keep>{REDACTED}"),
    (
        re.compile(
            r"(?P<keep>\b(?:access_token|api[-_]?key|password|passwd|secret|token)=)[^\s&;,'\"]+",
            re.IGNORECASE,
        ),
        rf"\g<keep>{REDACTED}",
    ),
    (re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}"), PERSONAL),
    # Vietnamese telephone numbers, and citizens' numbers (12 digits that begin with a province's 0).
    (re.compile(r"(?<![\w.+-])(?:\+?84|0)(?:[ .-]?\d){9,10}(?![\w-])"), PERSONAL),
    (re.compile(r"(?<![\w.+-])0\d{11}(?![\w-])"), PERSONAL),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DEEPEST = 6
_LOOKED_AT = 16_384
_END = 4_096  # of a longer text only both ends are kept: a traceback says most in its last line

EventDict = MutableMapping[str, Any]


def strike_out(text: str) -> str:
    """The text without credentials, e-mail addresses, telephone and citizens' numbers."""
    if len(text) > 2 * _LOOKED_AT:  # what is cut through here is cut away below
        text = text[:_LOOKED_AT] + text[-_LOOKED_AT:]
    for pattern, instead in _IN_TEXT:
        text = pattern.sub(instead, text)
    return text if len(text) <= 2 * _END else f"{text[:_END]} … {text[-_END:]}"


def _struck_out(fields: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    return {str(name): _field(str(name), value, depth) for name, value in fields.items()}


def _field(name: str, value: Any, depth: int) -> Any:
    if _SECRET_NAME.search(name):
        return REDACTED
    if _PERSONAL_NAME.search(name):
        return PERSONAL
    return _value(value, depth)


def _value(value: Any, depth: int) -> Any:
    plain = value
    if isinstance(value, (bytes, bytearray, memoryview)):
        plain = f"[{len(value)} bytes]"
    elif isinstance(value, Mapping):
        plain = _struck_out(value, depth + 1) if depth < _DEEPEST else "…"
    elif isinstance(value, (list, tuple, set, frozenset)):
        plain = [_value(one, depth + 1) for one in value] if depth < _DEEPEST else "…"
    elif value is not None and not isinstance(value, (bool, int, float)):
        plain = strike_out(str(value))
    return plain


_OURS = frozenset({"at", "face", "level", "part", "room", "route", "trace_id"})
"""Fields that only ever hold a word of our own: searching them cost half of a request's log line."""


def _strike_out_event(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {name: value if name in _OURS else _field(str(name), value, 0) for name, value in event.items()}


def _add_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:
    current = _trace.get()
    if current is not None:
        event.setdefault("trace_id", current.trace_id)
    return event


def _one_line(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """What came from outside cannot forge a second line on a terminal."""
    for name, value in event.items():
        if isinstance(value, str) and name != "exception":
            event[name] = _CONTROL.sub(lambda sign: repr(sign[0])[1:-1], value)
    return event


def _as_json(_logger: Any, _method: str, event: EventDict) -> str:
    first = {name: event.pop(name, None) for name in ("at", "level", "event")}
    event = {**first, **event}
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a number over 64 bits, half a surrogate pair
        return json.dumps(event, default=str)


def configure_logging(settings: Settings, part: str, *, stream: TextIO | None = None) -> None:
    """Write log lines to standard error as the settings say; libraries' lines too, in the same form."""
    out = stream or sys.stderr
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not out.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]

    def name_part(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["part"] = part
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        name_part,
        _add_trace,
        structlog.processors.format_exc_info,  # text without local variables: those hold people's data
        _strike_out_event,
    ]
    renderer: list[Any] = (
        [_as_json]
        if as_json
        else [
            _one_line,
            structlog.dev.ConsoleRenderer(
                colors=out.isatty(),
                timestamp_key="at",
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
    )
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        if getattr(old, "of_haidang", False):
            root.removeHandler(old)
    handler.of_haidang = True  # type: ignore[attr-defined]  # found again by the next call
    root.addHandler(handler)
    root.setLevel(max(level, logging.INFO))  # libraries' debug lines are theirs


def logger(room: str) -> Any:
    """The logger of a room: `log.info("source-late", source_id=…)`; an event's name is constant."""
    return structlog.get_logger(room=room)


# --- Figures ----------------------------------------------------------------------------------

REGISTRY = CollectorRegistry(auto_describe=True)
_PREFIX = "haidang_"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
    """A count that only grows, named `haidang_<name>_total`, declared once, at import."""
    return Counter(_PREFIX + name, text, labels, registry=REGISTRY)


def gauge(name: str, text: str, labels: Sequence[str] = (), *, over_processes: str = "livesum") -> Gauge:
    """A figure that goes up and down, named `haidang_<name>`.

    `over_processes` says what several processes make of it: `livesum`, `livemax`, `livemin`,
    `livemostrecent`, or `liveall` (one line a process, labelled `pid`).
    """
    return Gauge(_PREFIX + name, text, labels, registry=REGISTRY, multiprocess_mode=over_processes)  # type: ignore[arg-type]  # one of a few words


def histogram(
    name: str, text: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = _SECONDS
) -> Histogram:
    """How often values of each size came, named `haidang_<name>`; seconds unless said otherwise."""
    return Histogram(_PREFIX + name, text, labels, registry=REGISTRY, buckets=buckets)


REQUESTS = counter("http_requests", "Requests answered.", ("face", "method", "status"))
REQUEST_SECONDS = histogram("http_request_seconds", "Time to answer a request.", ("face", "method"))
PROCESS_CPU = gauge("process_cpu_seconds", "Processor time used.", ("part",), over_processes="liveall")
PROCESS_MEMORY = gauge("process_memory_bytes", "Resident memory.", ("part",), over_processes="liveall")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count_request(face: str, method: str, status: int, seconds: float) -> None:
    """Count one answered request. `face` is one of a few words (`ngsi-ld`, `portal`), never a path."""
    known = method if method in _METHODS else "other"
    REQUESTS.labels(face, known, str(status)).inc()
    REQUEST_SECONDS.labels(face, known).observe(seconds)


def measure_process(part: str) -> None:
    """Take this process's processor time and memory; called every few seconds."""
    PROCESS_CPU.labels(part).set(time.process_time())
    PROCESS_MEMORY.labels(part).set(_resident_bytes())


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def metrics_page() -> tuple[bytes, str]:
    """The page that Prometheus reads, and its content type: of all processes where they share a folder."""
    folder = os.environ.get(METRICS_FOLDER_VARIABLE)
    if not folder:
        return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
    gathered = CollectorRegistry()
    MultiProcessCollector(gathered, path=folder)  # type: ignore[no-untyped-call]
    return generate_latest(gathered), CONTENT_TYPE_LATEST


def prepare_metrics_folder(folder: Path) -> dict[str, str]:
    """Empty the folder that the processes will share; returns the variable to start them with.

    It has to be in a process's environment before it starts: the library looks once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.db"):
        old.unlink(missing_ok=True)
    return {METRICS_FOLDER_VARIABLE: str(folder)}


def forget_process(pid: int, folder: Path) -> None:
    """Take a dead process's gauges out of the page; what it counted stays counted."""
    mark_process_dead(pid, path=str(folder))  # type: ignore[no-untyped-call]
