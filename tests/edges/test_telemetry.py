"""Telemetry: one event a line, nothing personal in it, figures of several processes on one page."""

import io
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from haidang.infra.settings import read_settings
from haidang.infra.telemetry import (
    METRICS_FOLDER_VARIABLE,
    PERSONAL,
    REDACTED,
    Trace,
    configure_logging,
    configure_tracing,
    count_request,
    current_trace_id,
    forget_process,
    logger,
    measure_process,
    metrics_page,
    parse_traceparent,
    prepare_metrics_folder,
    span,
    strike_out,
    trace,
    traceparent,
)

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Where log lines go during the test; the library's and the root logger's state is put back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def configure(out: io.StringIO, log_format: str = "json", level: str = "info") -> None:
    settings = read_settings({"HAIDANG_LOG_FORMAT": log_format, "HAIDANG_LOG_LEVEL": level})
    configure_logging(settings, "web-1", stream=out)


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in out.getvalue().split("\n")[:-1]]


def test_an_event_is_one_line_with_its_trace(out: io.StringIO) -> None:
    configure(out)
    with trace("request", parent=parse_traceparent(CALLER)):
        logger("sources").warning("source-late", source_id="s1", text="two\nlines")
    (line,) = lines(out)
    assert line["event"] == "source-late"
    assert line["level"] == "warning"
    assert line["room"] == "sources"
    assert line["part"] == "web-1"
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["text"] == "two\nlines"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", str(line["at"]))


def test_what_others_write_has_the_same_form(out: io.StringIO) -> None:
    configure(out)
    logging.getLogger("aiohttp.access").info("GET %s", "https://u:hunter2@example.vn/")
    logging.getLogger("asyncio").debug("not this")
    (line,) = lines(out)
    assert line["logger"] == "aiohttp.access"
    assert line["event"] == f"GET https://{REDACTED}@example.vn/"
    assert line["part"] == "web-1"


def test_the_level_is_kept(out: io.StringIO) -> None:
    configure(out, level="error")
    logger("infra").warning("not-this")
    logger("infra").error("this")
    assert [line["event"] for line in lines(out)] == ["this"]


def test_configuring_twice_does_not_write_twice(out: io.StringIO) -> None:
    configure(out)
    configure(out)
    logging.getLogger("x").warning("once")
    assert len(lines(out)) == 1


def test_secrets_and_people_do_not_reach_the_log(out: io.StringIO) -> None:
    configure(out)
    logger("infra").info(
        "seen",
        authorization="Bearer abc.def",
        database_password="hunter2",  # noqa: S106 - made up
        headers={"Cookie": "s=1", "accept": "text/html"},
        client="203.0.113.9",
        deep=[{"phone": "0901234567"}, "gọi 0901 234 567 hoặc an.nguyen@example.vn, CCCD 051099001234"],
        payload=b"raw",
        picture=b"raw",
    )
    (line,) = lines(out)
    assert line["authorization"] == REDACTED
    assert line["database_password"] == REDACTED
    assert line["headers"] == {"Cookie": REDACTED, "accept": "text/html"}
    assert line["client"] == PERSONAL
    assert line["deep"] == [
        {"phone": PERSONAL},
        f"gọi {PERSONAL} hoặc {PERSONAL}, CCCD {PERSONAL}",
    ]
    assert line["payload"] == PERSONAL
    assert line["picture"] == "[3 bytes]"


def test_an_exception_shows_where_but_not_the_values_it_held(out: io.StringIO) -> None:
    configure(out)
    citizen = "Nguyễn Văn An"

    def fail() -> None:
        assert citizen
        raise ValueError("cannot reach postgresql://haidang:hunter2@db/x")

    try:
        fail()
    except ValueError:
        logger("infra").exception("failed")
    (line,) = lines(out)
    assert "in fail" in str(line["exception"])
    assert "hunter2" not in out.getvalue()
    assert citizen not in out.getvalue()


def test_a_terminal_line_cannot_be_forged(out: io.StringIO) -> None:
    configure(out, log_format="console")
    logging.getLogger("x").warning("%s", "a\n2026-01-01 [error] forged\x1b[2J")
    assert len(out.getvalue().splitlines()) == 1
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize(
    ("text", "struck"),
    [
        ("token=abc&x=1", f"token={REDACTED}&x=1"),
        ("Authorization: Basic dTpw", f"Authorization: Basic {REDACTED}"),
        ("+84 901 234 567", PERSONAL),
        ("urn:ngsi-ld:AirQualityObserved:hn-01", "urn:ngsi-ld:AirQualityObserved:hn-01"),
        ("2026-11-21T10:05:00Z took 12345678901234 ns", "2026-11-21T10:05:00Z took 12345678901234 ns"),
        ("0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"),
    ],
)
def test_what_is_struck_out_of_a_text(text: str, struck: str) -> None:
    assert strike_out(text) == struck


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "a.",
        "a@",
        "a@b.",
        "://",
        "a://",
        "a://b:",
        "0",
        "0 ",
        "84 ",
        "bearer ",
        "bearer",
        "token=",
        " ",
        "-",
        ".",
    ],
)
def test_no_text_takes_long_to_strike_out(part: str) -> None:
    begun = time.process_time()
    for text in (part * 200_000, part * 200_000 + "@", "x" + part * 200_000 + "!"):
        strike_out(text)
    assert time.process_time() - begun < 0.5


def test_a_secret_in_the_middle_of_a_long_text_is_gone_too() -> None:
    for place in range(0, 100_000, 977):
        assert "hunter2" not in strike_out(
            "a " * (place // 2) + "password=hunter2" + " b" * (50_000 - place // 2)
        )


def test_both_ends_of_a_long_text_are_kept() -> None:
    short = strike_out("a" * 50_000 + "the end")
    assert len(short) < 10_000
    assert short.endswith("the end")


@given(st.recursive(st.none() | st.text() | st.binary() | st.integers(), st.lists))
def test_anything_can_be_logged(value: object) -> None:
    out = io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        configure(out)
        logger("infra").info("seen", value=value)
        assert out.getvalue().count("\n") == 1
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


# --- Traces ---


def test_a_callers_trace_is_continued_and_handed_on() -> None:
    parent = parse_traceparent(CALLER)
    assert parent == Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=True)
    with trace("request", parent=parent) as place, span("query"):
        assert current_trace_id() == parent.trace_id
        assert traceparent() == f"00-{parent.trace_id}-{place.span_id}-01"
        assert place.span_id != parent.span_id
    assert current_trace_id() is None
    assert traceparent() is None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        CALLER + "-more",
        CALLER.upper(),
    ],
)
def test_a_malformed_traceparent_begins_a_new_trace(header: str | None) -> None:
    assert parse_traceparent(header) is None
    with trace("request", parent=parse_traceparent(header)):
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", traceparent() or "")


def test_a_later_version_of_traceparent_is_understood() -> None:
    assert parse_traceparent("01" + CALLER[2:] + "-more") is not None


def test_no_collector_is_loaded_without_an_endpoint() -> None:
    code = (
        "import sys, haidang.infra.telemetry; "
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class _Collector(BaseHTTPRequestHandler):
    received: list[ExportTraceServiceRequest]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            raise AssertionError("not asked for")
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        if self.path == "/v1/traces":
            self.received.append(request)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def test_spans_reach_a_collector() -> None:
    received: list[ExportTraceServiceRequest] = []
    handler = type("Collector", (_Collector,), {"received": received})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    stop = configure_tracing(f"http://127.0.0.1:{server.server_port}", "web-1")
    try:
        with trace("request", parent=parse_traceparent(CALLER)), span("query", name="q", token="x"):  # noqa: S106 - made up
            inner = traceparent()
        with pytest.raises(ValueError, match="an@"), trace("broken"):
            raise ValueError("an@example.vn")
    finally:
        stop()
        server.shutdown()
        thread.join()
        server.server_close()
    with span("after"):
        pass
    spans = {
        one.name: one
        for request in received
        for of in request.resource_spans
        for s in of.scope_spans
        for one in s.spans
    }
    assert set(spans) == {"request", "query", "broken"}
    assert spans["query"].trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert spans["query"].parent_span_id == spans["request"].span_id
    assert spans["request"].parent_span_id.hex() == "b7ad6b7169203331"
    assert inner is not None
    assert spans["query"].span_id.hex() in inner
    said = {one.key: one.value.string_value for one in spans["query"].attributes}
    assert said == {"name": "q", "token": REDACTED}
    assert spans["broken"].status.message == "ValueError"
    assert not any(b"an@example.vn" in request.SerializeToString() for request in received)


# --- Figures ---

_COUNTING = """
import sys, time
from haidang.infra.telemetry import count_request, measure_process
for _ in range(int(sys.argv[1])):
    count_request("portal", "GET", 200, 0.004)
measure_process("web")
print("counted", flush=True)
sys.stdin.readline()
"""


def value_of(page: bytes, line_start: str) -> list[float]:
    return [
        float(line.rpartition(" ")[2]) for line in page.decode().splitlines() if line.startswith(line_start)
    ]


def test_a_process_alone_answers_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(METRICS_FOLDER_VARIABLE, raising=False)
    count_request("test-face", "PROPFIND", 404, 0.2)
    measure_process("test-part")
    page, content_type = metrics_page()
    assert content_type.startswith("text/plain")
    assert value_of(page, 'haidang_http_requests_total{face="test-face",method="other",status="404"}') == [
        1.0
    ]
    assert value_of(page, 'haidang_process_memory_bytes{part="test-part"}')[0] > 1_000_000


def test_any_process_answers_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "counter_1.db").write_bytes(b"of a run before")
    variables = prepare_metrics_folder(folder)
    assert not list(folder.glob("*.db"))
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _COUNTING, str(times)],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for times in (3, 4)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == b"counted\n"
        monkeypatch.setenv(METRICS_FOLDER_VARIABLE, str(folder))
        page, _ = metrics_page()
        assert value_of(page, "haidang_http_requests_total{") == [7.0]
        assert value_of(page, "haidang_http_request_seconds_count{") == [7.0]
        assert len(value_of(page, "haidang_process_memory_bytes{")) == 2
        children[0].kill()
        children[0].wait()
        forget_process(children[0].pid, folder)
        page, _ = metrics_page()
        assert value_of(page, "haidang_http_requests_total{") == [7.0]  # what it counted stays counted
        assert len(value_of(page, "haidang_process_memory_bytes{")) == 1
    finally:
        for child in children:
            child.kill()
            child.communicate()


def test_a_trace_is_a_plain_value() -> None:
    assert msgspec.json.encode(Trace("a", "b", sampled=False)) == b'["a","b",false]'
