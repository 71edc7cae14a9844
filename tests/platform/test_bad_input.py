"""What is wrong gets a clear answer in the standard's form, and leaves nothing half-written."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from haidang.infra.embedded import place_of
from haidang.infra.mqtt import MqttPublisher, read_mqtt_url
from haidang.kernel.instants import format_instant
from tests.infra.platforms import environment, new_home
from tests.platform.city import City, running
from tests.platform.load import Door, moments_known
from tests.platform.wire import PACKS_LINK, PIECE, Answered, Wire, chunks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
_MEBIBYTE = 2**20
_LARGE = 50 * _MEBIBYTE
_ETSI = "https://uri.etsi.org/ngsi-ld/errors/"
_ENTITY = "/ngsi-ld/v1/entities"


@pytest.fixture(scope="module")
async def city() -> AsyncIterator[City]:
    """One for all tests: what is thrown at it must not harm the next ones."""
    with new_home() as home:
        async with running(home) as started:
            yield started


@pytest.fixture
def wire(city: City) -> Wire:
    """Its door."""
    return Wire(city.port, city.token)


def lamp(name: str, **attributes: Any) -> dict[str, Any]:
    return {"id": f"urn:ngsi-ld:Lamp:{name}", "type": "Lamp", **attributes}


def air(name: str, **pm25: Any) -> dict[str, Any]:
    at = format_instant(datetime.now(UTC) - timedelta(hours=1))
    value = {"type": "Property", "value": 12, "unitCode": "GQ", "observedAt": at} | pm25
    return {
        "id": f"urn:ngsi-ld:AirQualityObserved:{name}",
        "type": "AirQualityObserved",
        "pm25": {member: one for member, one in value.items() if one is not None},
    }


async def rows_about(city: City, word: str) -> int:
    """How many rows of the database speak of it: entities, events, receipts."""
    connection = await asyncpg.connect(place_of(city.platform.home).dsn())
    try:
        found: int = await connection.fetchval(
            "SELECT (SELECT count(*) FROM context.entity WHERE entity_id LIKE $1)"
            " + (SELECT count(*) FROM infra.event WHERE subject LIKE $1 OR CAST(payload AS text) LIKE $1)"
            " + (SELECT count(*) FROM infra.idempotency_receipt WHERE key LIKE $1)",
            f"%{word}%",
        )
    finally:
        await connection.close()
    return found


def refused(answer: Answered, status: int, kind: str) -> None:
    """The standard's form: JSON with a type of ETSI's, a title, a sentence and the status."""
    assert (answer.status, answer.kind) == (status, kind), answer
    problem = answer.json
    assert answer.headers["content-type"].startswith("application/json")
    assert problem["type"].startswith((_ETSI, "urn:haidang:problem:"))
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"].endswith((".", "clock.", "”"))
    assert "Traceback" not in problem["detail"]


def value(text: bytes) -> bytes:
    return (
        b'{"id": "urn:ngsi-ld:Lamp:broken", "type": "Lamp", "a": {"type": "Property", "value": '
        + text
        + b"}}"
    )


BROKEN = {
    "cut short": value(b"1")[:-2],
    "empty": b"",
    "NaN": value(b"NaN"),
    "infinite": value(b"-Infinity"),
    "larger than any number": value(b"1e999"),
    "not UTF-8": value(b'"\xff\xfe"'),
    "lone surrogate": value(b'"\\ud800"'),
    "10,000 levels of lists": value(b"[" * 10_000 + b"]" * 10_000),
    "10,000 levels of objects": value(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "only open brackets": b"[" * 1_000_000,
    "a member twice": b'{"id": "urn:ngsi-ld:Lamp:broken", "type": "Lamp", "a": 1, "\\u0061": 2}',
    "two documents": value(b"1") + value(b"2"),
    "UTF-16": value(b"1").decode().encode("utf-16"),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_json_is_an_invalid_request(city: City, wire: Wire, body: bytes) -> None:
    refused(wire.create(body), 400, "InvalidRequest")
    refused(wire.create(body, 'Idempotency-Key: "broken"\r\n'), 400, "InvalidRequest")
    refused(wire.ask("POST", "/ngsi-ld/v1/entityOperations/upsert", body), 400, "InvalidRequest")
    assert await rows_about(city, "broken") == 0


def _future() -> str:
    return format_instant(datetime.now(UTC) + timedelta(hours=1))


WRONG = {
    "a relationship for a number": air("wrong") | {"pm25": {"type": "Relationship", "object": "urn:a:b"}},
    "no attribute type": air("wrong", type="Properly"),
    "a text for a number": air("wrong", value="much"),
    "a truth for a number": air("wrong", value=True),
    "an unknown unit": air("wrong", unitCode="XYZ"),
    "a unit of something else": air("wrong", unitCode="CEL"),
    "a unit of another size": air("wrong", unitCode="GP"),
    "a unit that is a number": air("wrong", unitCode=5),
    "the future": air("wrong", observedAt=_future()),
    "no moment": air("wrong", observedAt="yesterday"),
    "before there was measuring": air("wrong", observedAt="1066-10-14T00:00:00Z"),
    "NUL": lamp("wrong", a={"type": "Property", "value": "a\0b"}),
    "NUL in the id": lamp("wrong\0"),
    "line ends in the id": lamp("wrong\r\nSet-Cookie: a=b"),
    "no URI": lamp("wrong") | {"id": "wrong"},
    "an id of 8 KB": lamp("wrong" + "x" * 8192),
    "no type": {"id": "urn:ngsi-ld:Lamp:wrong"},
    "a list": [lamp("wrong")],
    "null": lamp("wrong", a=None),
    "no geometry": lamp(
        "wrong", a={"type": "GeoProperty", "value": {"type": "Point", "coordinates": [200, 5]}}
    ),
    "the second attribute": lamp("wrong", a=1, b={"type": "Property", "value": 1, "observedAt": _future()}),
}


@pytest.mark.parametrize("document", WRONG.values(), ids=WRONG.keys())
async def test_a_wrong_entity_is_bad_request_data(city: City, wire: Wire, document: Any) -> None:
    refused(wire.create(document, PACKS_LINK), 400, "BadRequestData")
    refused(wire.create(document, PACKS_LINK, 'Idempotency-Key: "wrong"\r\n'), 400, "BadRequestData")
    assert await rows_about(city, "wrong") == 0


async def test_of_a_batch_what_is_right_is_kept_and_what_is_wrong_is_named(city: City, wire: Wire) -> None:
    batch = [lamp("batch-right", a=1), lamp("batch-wrong", a={"type": "Property", "value": "a\0b"})]
    answer = wire.ask("POST", "/ngsi-ld/v1/entityOperations/upsert", batch)
    assert answer.status == 207
    assert answer.json["success"] == ["urn:ngsi-ld:Lamp:batch-right"]
    [error] = answer.json["errors"]
    assert error["entityId"] == "urn:ngsi-ld:Lamp:batch-wrong"
    assert error["error"]["type"] == _ETSI + "BadRequestData"
    assert await rows_about(city, "batch-wrong") == 0
    assert wire.ask("GET", f"{_ENTITY}/urn:ngsi-ld:Lamp:batch-right").status == 200


async def test_a_write_without_a_token_or_with_a_wrong_one_is_unauthorized(city: City, wire: Wire) -> None:
    for more in ((), ("Authorization: Bearer hd_wrong\r\n",), ("Authorization: \xff\xfe\r\n",)):
        answer = wire.create(lamp("stranger"), *more, known=False)
        refused(answer, 401, "token-refused" if "Bearer" in "".join(more) else "token-needed")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    for method, path in (("PATCH", "/attrs"), ("DELETE", "")):
        answer = wire.ask(method, f"{_ENTITY}/urn:ngsi-ld:Lamp:stranger{path}", {"a": 1}, known=False)
        refused(answer, 401, "token-needed")
    assert await rows_about(city, "stranger") == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{_ENTITY}/%2F", 400),
        (f"{_ENTITY}/urn:a:%2F..%2F..%2Fetc%2Fpasswd", 404),
        (f"{_ENTITY}/../../../etc/passwd", 404),
        (f"{_ENTITY}/%2e%2e/%2e%2e/etc/passwd", 404),
        (f"{_ENTITY}/urn:a:%00", 400),
        (f"{_ENTITY}/urn:a:%ff%fe", 400),
        (f"{_ENTITY}/urn:a:{'x' * 8192}", 400),
        (f"{_ENTITY}?type=Lamp&idPattern=((((", 400),
        (f"{_ENTITY}?type=%00", 400),
        (f"{_ENTITY}?type=%ff", 400),
        (f"{_ENTITY}?type={'(' * 4000}", 400),
        (f"{_ENTITY}?limit=99999999999999999999", 400),
        ("/ngsi-ld//v1/entities", 404),
        ("/static/..%2f..%2f..%2fetc%2fpasswd", 404),
        ("/static/../../../etc/passwd", 404),
        ("/%00", 404),
        ("/%ff%fe", 404),
        (f"/{'x' * 8192}", 404),
    ],
)
async def test_hostile_paths_find_nothing(wire: Wire, path: str, status: int) -> None:
    answer = wire.ask("GET", path, None, "Accept: application/json\r\n")
    assert answer.status == status, answer
    assert answer.json["status"] == status
    assert b"root:" not in answer.body


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /ngsi-ld/v1/entities/\xff\xfe HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
)
async def test_what_is_no_http_is_refused_and_the_connection_closed(wire: Wire, request_line: bytes) -> None:
    answer = wire.send(request_line + b"\r\nHost: localhost\r\n\r\n")
    assert answer.status == 400
    assert answer.headers["connection"] == "close"


async def test_an_endless_header_is_refused(wire: Wire) -> None:
    endless = (b"X-%d: %s\r\n" % (number, b"x" * 60_000) for number in range(1_000))
    answer = wire.send(wire.head("GET", "/"), endless)
    assert answer.status == 431
    assert answer.sent < 10 * _MEBIBYTE


async def test_values_cannot_become_headers(city: City, wire: Wire) -> None:
    answer = wire.create(lamp("split%0d%0aSet-Cookie:a=b"))
    assert answer.status == 201
    assert "set-cookie" not in answer.headers
    assert "%250d%250a" in answer.headers["location"]
    answer = wire.ask(
        "GET", f"{_ENTITY}?type=Lamp", None, "NGSILD-Tenant: a\xc4\x8d\xc4\x8aSet-Cookie: a=b\r\n"
    )
    refused(answer, 404, "NonexistentTenant")
    assert "set-cookie" not in answer.headers
    answer = wire.ask("GET", f"{_ENTITY}?type=Lamp", None, "NGSILD-Tenant: a\rSet-Cookie: a=b\r\n")
    assert answer.status == 400
    assert "set-cookie" not in answer.headers
    assert await rows_about(city, "split") == 2  # the entity, and the event that tells of it


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.nip.io", "localhost.evil.example:8000", "", "169.254.169.254"]
)
async def test_another_hosts_name_is_turned_away(city: City, wire: Wire, host: str) -> None:
    """DNS rebinding: a foreign page whose name was made to point here sends its own name."""
    refused(wire.create(lamp("rebound"), host=host), 400, "BadRequestData")
    assert wire.ask("GET", "/", host=host).status == 421
    assert wire.ask("GET", "/metrics", host=host).status == 421
    assert await rows_about(city, "rebound") == 0


def _memory_of(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


def _memory_now(pid: int) -> int:
    """What it holds; its peak is counted from here on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")
    return _memory_of(pid, "VmRSS")


@pytest.mark.parametrize("announced", ["content-length", "chunked"])
async def test_50_megabytes_are_refused_before_they_are_read(city: City, wire: Wire, announced: str) -> None:
    web = city.pid_of("web")
    assert wire.ask("GET", f"{_ENTITY}?type=Lamp").status == 200
    before = _memory_now(web)
    head = wire.head("POST", _ENTITY)
    for _ in range(3):
        if announced == "content-length":
            body = (b" " * PIECE for _ in range(_LARGE // PIECE))
            answer = wire.send(head + f"Content-Length: {_LARGE}\r\n\r\n".encode(), body)
            assert answer.sent < 8 * _MEBIBYTE  # what the sockets hold
        else:
            answer = wire.send(head + b"Transfer-Encoding: chunked\r\n\r\n", chunks(_LARGE))
            assert answer.sent < 30 * _MEBIBYTE  # the limit of 10, and what the sockets hold
        refused(answer, 413, "InvalidRequest")
        assert answer.headers["connection"] == "close"
    grown = _memory_of(web, "VmHWM") - before
    assert grown < 40 * _MEBIBYTE, f"{grown / _MEBIBYTE:.0f} MB more"
    stranger = wire.head("POST", _ENTITY, known=False) + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = wire.send(stranger, chunks(_LARGE))
    refused(answer, 401, "token-needed")
    assert answer.sent < 8 * _MEBIBYTE  # nobody's body is not read at all
    assert wire.ask("GET", "/healthz").status == 200
    assert city.pid_of("web") == web, "the process lives on"


async def test_a_long_text_within_the_limit_costs_little_memory(city: City, wire: Wire) -> None:
    web = city.pid_of("web")
    before = _memory_now(web)
    text = "đèn " * 1_700_000
    body = json.dumps(lamp("long", a={"type": "Property", "value": text}), ensure_ascii=False).encode()
    assert 9 * _MEBIBYTE < len(body) < 10 * _MEBIBYTE
    assert wire.create(body).status == 201
    grown = _memory_of(web, "VmHWM") - before
    assert grown < 400 * _MEBIBYTE, f"{grown / _MEBIBYTE:.0f} MB more"
    assert wire.ask("GET", f"{_ENTITY}/urn:ngsi-ld:Lamp:long?options=simplified").json["a"] == text


async def test_slow_clients_do_not_stop_others(city: City, wire: Wire) -> None:
    """Headers and bodies that trickle, hundreds at once."""
    slow = []
    begun_head = wire.head("GET", "/")
    begun_body = (
        wire.head("POST", _ENTITY) + b"Content-Length: 1000\r\n\r\n" + json.dumps(lamp("slow")).encode()[:-1]
    )
    try:
        for number in range(500):
            connection = wire.open()
            connection.sendall(begun_body if number % 2 else begun_head)
            slow.append(connection)

        def trickle() -> None:
            for number, connection in enumerate(slow):
                with contextlib.suppress(OSError):
                    connection.sendall(b" " if number % 2 else b"X")

        taken = []
        for number in range(10):
            await asyncio.to_thread(trickle)
            begun = time.monotonic()
            assert wire.create(lamp(f"quick-{number}")).status == 201
            assert wire.ask("GET", "/healthz").status == 200
            taken.append(time.monotonic() - begun)
        assert max(taken) < 5, taken
        assert sorted(taken)[5] < 1, taken
    finally:
        for connection in slow:
            connection.close()
    assert await rows_about(city, "Lamp:slow") == 0


async def test_five_posts_with_one_key_make_one_entity_and_one_answer(city: City, wire: Wire) -> None:
    def create(_: int) -> Answered:
        return wire.create(lamp("once", a=1), 'Idempotency-Key: "once"\r\n')

    with ThreadPoolExecutor(5) as threads:
        answers = await asyncio.to_thread(lambda: list(threads.map(create, range(5))))
    assert {answer.status for answer in answers} == {201}
    assert {(answer.headers["location"], answer.body) for answer in answers} == {
        (f"{_ENTITY}/urn:ngsi-ld:Lamp:once", b"")
    }
    assert await rows_about(city, "once") == 3  # one entity, one event, one receipt
    refused(wire.create(lamp("once", a=1)), 409, "AlreadyExists")
    other = wire.create(lamp("once", a=2), 'Idempotency-Key: "once"\r\n')
    refused(other, 422, "idempotency-key-reused")
    assert wire.ask("GET", f"{_ENTITY}/urn:ngsi-ld:Lamp:once?options=simplified").json["a"] == 1


def _reading(station: str, **changes: Any) -> dict[str, Any]:
    at = format_instant((datetime.now(UTC) - timedelta(hours=2)).replace(minute=0, second=0, microsecond=0))
    whole = {
        "id": f"urn:ngsi-ld:AirQualityObserved:{station}",
        "observedAt": at,
        "period": 3600,
        "values": {"pm25": {"value": 21.5, "unit": "GQ"}},
    }
    return whole | changes


def _pm25(**changes: Any) -> dict[str, Any]:
    return {"pm25": {"value": 21.5, "unit": "GQ"} | changes}


REFUSED_READINGS: dict[str, tuple[bytes, str]] = {
    "mq-cut": (json.dumps(_reading("mq-cut")).encode()[:-9], "not-json"),
    "mq-empty": (b"", "not-json"),
    "mq-binary": (b"\x00\xff\xfe" * 50, "not-json"),
    "mq-deep": (b"[" * 10_000 + b"]" * 10_000, "not-json|shape-unknown"),
    "mq-nan": (b'{"id":"urn:ngsi-ld:AirQualityObserved:mq-nan","observedAt":NaN}', "not-json"),
    "mq-shape": (b'{"id": 5}', "shape-unknown"),
    "mq-kind": (json.dumps(_reading("mq-kind", values=_pm25(value="much"))).encode(), "not-a-number"),
    "mq-unit": (json.dumps(_reading("mq-unit", values=_pm25(unit="XYZ"))).encode(), "unit-unknown"),
    "mq-celsius": (json.dumps(_reading("mq-celsius", values=_pm25(unit="CEL"))).encode(), "unit-differs"),
    "mq-bare": (json.dumps(_reading("mq-bare", values={"pm25": 5})).encode(), "unit-missing"),
    "mq-future": (json.dumps(_reading("mq-future", observedAt=_future())).encode(), "observed-in-future"),
    "mq-1970": (
        json.dumps(_reading("mq-1970", observedAt="1970-01-01T00:00:00Z")).encode(),
        "observed-too-long-ago",
    ),
    "mq-id": (json.dumps(_reading("mq-id", id="urn:ngsi-ld:Bus:mq-id")).encode(), "not-an-air-station"),
    "mq-large": (b'{"id":"' + b"x" * 2_000_000 + b'"}', "payload-too-large"),
}


def _haidang(city: City, *words: str) -> str:
    """What a command says."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "haidang", *words],
        env=environment(city.platform.home) | {"COLUMNS": "1000"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return done.stdout


def _send(city: City, messages: Sequence[tuple[str, bytes]]) -> None:
    with MqttPublisher(read_mqtt_url(city.mqtt_url)) as publisher:
        sent = [publisher.send(f"haidang/air/{topic}", payload) for topic, payload in messages]
        for one in sent:
            one.wait_for_publish(timeout=30)
            assert one.is_published()


async def _until_known(city: City, station: str, moment: str) -> None:
    door = Door(city.port, city.token)
    deadline = time.monotonic() + 60
    while moment not in await asyncio.to_thread(moments_known, door, station):
        assert time.monotonic() < deadline, f"{station} is not known at {moment}"
        await asyncio.sleep(0.1)
    door.close()


async def test_what_is_wrong_on_mqtt_is_quarantined_with_its_reason_and_the_rest_goes_on(
    city: City, wire: Wire
) -> None:
    good = _reading("mq-good")
    messages = [(topic, payload) for topic, (payload, _) in REFUSED_READINGS.items()]
    middle = ("mq-between", json.dumps(_reading("mq-between")).encode())
    await asyncio.to_thread(
        _send, city, [*messages[:7], middle, *messages[7:], ("mq-good", json.dumps(good).encode())]
    )
    await _until_known(city, "mq-between", good["observedAt"])
    await _until_known(city, "mq-good", good["observedAt"])
    listed = await asyncio.to_thread(_haidang, city, "quarantine", "list", "--most", "100")
    for topic, (payload, reason) in REFUSED_READINGS.items():
        lines = [line for line in listed.splitlines() if f"haidang/air/{topic} " in line]
        assert any(f" {one}" in line for line in lines for one in reason.split("|")), (topic, listed)
        assert f"{len(payload)} B" in listed
        answer = wire.ask("GET", f"{_ENTITY}/urn:ngsi-ld:AirQualityObserved:{topic}", None, PACKS_LINK)
        if reason.startswith("unit-"):  # judged value by value: that there was a moment is not in doubt
            assert "pm25" not in answer.json
        else:
            assert answer.status == 404
            assert await rows_about(city, f"AirQualityObserved:{topic}") == 0
    assert "mq-good" not in listed
    assert "mq-between" not in listed


async def test_the_same_message_five_times_is_one_observation(city: City) -> None:
    reading = _reading("mq-again")
    last = _reading("mq-after-again")
    payload = json.dumps(reading).encode()
    await asyncio.to_thread(
        _send, city, [("mq-again", payload)] * 5 + [("mq-after", json.dumps(last).encode())]
    )
    await _until_known(city, "mq-after-again", last["observedAt"])
    await asyncio.to_thread(_send, city, [("mq-again", payload), ("mq-after", json.dumps(last).encode())])
    await asyncio.sleep(1)
    connection = await asyncpg.connect(place_of(city.platform.home).dsn())
    stored = await connection.fetch(
        "SELECT o.number, o.superseded_at FROM context.observation AS o"
        " JOIN context.entity AS e USING (tenant, entity_no)"
        " JOIN context.name AS n ON n.tenant = o.tenant AND n.name_no = o.attribute_no"
        " WHERE e.entity_id = $1 AND n.iri LIKE '%/pm25'",
        "urn:ngsi-ld:AirQualityObserved:mq-again",
    )
    await connection.close()
    assert [(row["number"], row["superseded_at"]) for row in stored] == [(21.5, None)]


async def test_messages_on_topics_of_nobody_and_oversized_ones_do_not_end_the_intake(city: City) -> None:
    intake = city.pid_of("intake")
    with contextlib.suppress(Exception), MqttPublisher(read_mqtt_url(city.mqtt_url)) as publisher:
        publisher.send("haidang/air/mq-huge", os.urandom(6 * _MEBIBYTE)).wait_for_publish(timeout=5)
    reading = _reading("mq-after-huge")
    await asyncio.to_thread(_send, city, [("mq-after-huge", json.dumps(reading).encode())])
    await _until_known(city, "mq-after-huge", reading["observedAt"])
    assert city.pid_of("intake") == intake
