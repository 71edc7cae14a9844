"""The one door: hosts, sizes, times, tokens, audiences, headers, figures."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from litestar import Litestar, get

from haidang.infra.settings import Settings
from haidang.infra.tokens import issue_token, revoke_tokens_labelled
from haidang.kernel.actors import Audience, part
from haidang.packs.environment.pack import PACK
from haidang.web.api.ngsi_ld.routes import ROUTES
from haidang.web.asgi import build_application, build_portal
from haidang.web.shared.audiences import audiences_of, guard_audience
from haidang.web.shared.bearers import Bearers
from haidang.web.shared.dispatch import Dispatcher
from haidang.web.shared.errors import RouteWithoutAudience, TokenRefused
from haidang.web.shared.frame import Frame
from haidang.web.shared.house import House, Receive, Scope, Send
from tests.web.client import Client

EVERYWHERE = (
    "/",
    "/khong-khi",
    "/khong-khi.csv",
    "/nowhere",
    "/healthz",
    "/ngsi-ld/v1/entities",
    "/static/no",
)


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_every_answer_carries_the_security_headers(web: Client, path: str) -> None:
    reply = await web.page(path)
    policy = reply.header("content-security-policy") or ""
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    for directive in ("script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert directive in policy
    assert reply.header("x-content-type-options") == "nosniff"
    assert reply.header("referrer-policy") == "strict-origin-when-cross-origin"
    assert reply.header("strict-transport-security") is None  # never on loopback
    assert reply.header("server") is None


async def test_a_public_bind_asks_browsers_for_https_from_then_on(house: House) -> None:
    settings = Settings(home=house.settings.home, host="0.0.0.0")  # noqa: S104 - the setting under test
    client = Client(build_application(replace(house, settings=settings)))
    reply = await client.page("/", ("host", "lamdong.example.vn"))
    assert reply.status == 200
    assert "max-age=" in (reply.header("strict-transport-security") or "")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:8000", "[::1]:8000", "127.9.9.9"])
async def test_names_of_this_machine_are_ours(web: Client, host: str) -> None:
    assert (await web.page("/", ("host", host))).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "127.0.0.1.evil.example", "", "[::2]", "10.0.0.1", "a b"]
)
async def test_a_name_that_was_made_to_point_here_is_turned_away(web: Client, host: str) -> None:
    for path in ("/", "/ngsi-ld/v1/entities"):
        reply = await web.get(path, ("host", host))
        assert reply.status in {400, 421}
        assert "actor" not in reply.text
    assert (await web.get("/", ("host", host))).json["type"] == "urn:haidang:problem:host-not-ours"


async def test_paths_reach_the_ngsi_ld_face_as_they_were_sent(web: Client) -> None:
    path = "/ngsi-ld/v1/entities/urn%3Angsi-ld%3AX%3A%2F%2Fa//attrs/https:%2F%2Fe.vn%2Fpm25/"
    assert (await web.get(path)).json["raw_path"] == path
    assert (await web.ask("HEAD", "/ngsi-ld/v1/entities")).status == 200


async def test_a_body_that_announces_too_much_is_refused_unread(web: Client, house: House) -> None:
    limit = house.settings.body_limit_bytes
    reply = await web.ask(
        "POST", "/ngsi-ld/v1/entities", headers=[("content-length", str(50 * 1024 * 1024))], chunks=()
    )
    assert reply.status == 413
    assert str(limit) in reply.json["detail"]
    assert reply.header("connection") == "close"


async def test_a_body_that_grows_too_large_in_chunks_is_refused_on_the_way(house: House) -> None:
    small = Client(
        build_application(replace(house, settings=Settings(home=house.settings.home, body_limit_bytes=2048)))
    )
    for path in ("/ngsi-ld/v1/entities",):
        ok = await small.ask("POST", path, chunks=[b"x" * 1024, b"x" * 1024])
        assert (ok.status, ok.json["size"]) == (200, 2048)
        refused = await small.ask("POST", path, chunks=[b"x" * 1024, b"x" * 1024, b"x"])
        assert refused.status == 413


async def test_a_face_that_answers_a_cut_off_body_does_not_hide_that_it_was_cut_off(house: House) -> None:
    async def forgiving(_scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
        except Exception:  # noqa: BLE001 - a face that swallows what it does not know
            status = 400
        else:
            status = 201
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    settings = Settings(home=house.settings.home, body_limit_bytes=1024)
    client = Client(build_application(replace(house, settings=settings, ngsi_ld=forgiving)))
    assert (await client.ask("POST", "/ngsi-ld/v1/x", chunks=[b"x" * 1000, b"x" * 1000])).status == 413
    assert (await client.ask("POST", "/ngsi-ld/v1/x", chunks=[b"x" * 1000])).status == 201


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "0x10", "9" * 40])
async def test_a_length_that_is_no_length_is_refused(web: Client, length: str) -> None:
    reply = await web.ask(
        "POST", "/ngsi-ld/v1/entities", headers=[("content-length", length.encode().decode("latin-1"))]
    )
    assert reply.status in {400, 413}


async def test_an_answer_that_does_not_come_is_given_up(house: House) -> None:
    async def sleeping(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(60)

    parked = replace(house, ngsi_ld=sleeping)
    client = Client(Dispatcher(parked, sleeping, Frame(parked), patience_s=0.05))
    reply = await client.get("/ngsi-ld/v1/entities")
    assert reply.status == 503
    assert reply.json["type"] == "urn:haidang:problem:request-took-too-long"  # no form of the standard given
    page = await client.page("/")
    assert page.status == 503
    assert "115" in page.text


async def test_an_event_stream_may_last(house: House) -> None:
    async def stream(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await asyncio.sleep(0.2)
        await send({"type": "http.response.body", "body": b"data: 1\n\n"})

    client = Client(Dispatcher(house, stream, Frame(house), patience_s=0.05))
    assert (await client.get("/events")).raw == b"data: 1\n\n"


async def test_a_token_says_who_asks_and_a_wrong_one_is_refused(web: Client, house: House) -> None:
    now = house.clock.now()
    async with house.pool.acquire() as connection:
        token = await issue_token(part("test"), connection, "gateway", now=now, lasts=timedelta(hours=1))
    known = await web.get("/ngsi-ld/v1/entities", ("authorization", f"Bearer {token}"))
    assert known.json["actor"] == "urn:haidang:machine:gateway"
    nobody = await web.get("/ngsi-ld/v1/entities")
    assert nobody.json["actor"] == "urn:haidang:actor:anonymous"
    for wrong in (f"Bearer {token}x", "Bearer", "Bearer hd_" + "a" * 43):
        reply = await web.get("/ngsi-ld/v1/entities", ("authorization", wrong))
        assert reply.status == 401
        assert (reply.header("www-authenticate") or "").startswith("Bearer")
        assert token not in reply.text


async def test_credentials_of_another_kind_are_a_proxys_and_not_ours(web: Client) -> None:
    """A proxy that asks for a password passes it on with each request: pages open all the same."""
    for other in ("Basic YTpi", "Digest username=a", "Negotiate YII=", "hd_x"):
        assert (await web.page("/khong-khi", ("authorization", other))).status == 200
        reply = await web.get("/ngsi-ld/v1/entities", ("authorization", other))
        assert reply.json["actor"] == "urn:haidang:actor:anonymous"


async def test_a_revoked_token_ends_within_seconds(house: House) -> None:
    admin, now = part("test"), house.clock.now()
    async with house.pool.acquire() as connection:
        token = await issue_token(admin, connection, "gateway", now=now, lasts=None)
        patient, strict = Bearers(house), Bearers(house, remembered_s=0.0)
        for bearers in (patient, strict):
            assert (await bearers.actor_of(f"Bearer {token}")).belongs_to(Audience.MACHINE)
        await revoke_tokens_labelled(admin, connection, "gateway", now=now)
    assert (await patient.actor_of(f"Bearer {token}")).belongs_to(Audience.MACHINE)
    with pytest.raises(TokenRefused):
        await strict.actor_of(f"Bearer {token}")


async def test_a_trace_is_continued_and_told(web: Client) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    reply = await web.get("/healthz", ("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01"))
    assert reply.header("x-trace-id") == trace_id
    other = await web.get("/healthz", ("traceparent", "00-zz-00-01"))
    assert len(other.header("x-trace-id") or "") == 32


async def test_figures_are_for_machines_with_a_token(house: House, web: Client) -> None:
    """Not for whoever asks from this machine: a proxy asks from here for all the world."""
    async with house.pool.acquire() as connection:
        token = await issue_token(part("test"), connection, "m", now=house.clock.now(), lasts=None)
    await web.page("/khong-khi")
    await web.page("/khong-khi/tram/khong-co")
    assert (await web.get("/metrics")).status == 404
    figures = await web.get("/metrics", ("authorization", f"Bearer {token}"))
    assert figures.status == 200
    assert 'haidang_http_route_seconds_count{method="GET",route="/khong-khi"}' in figures.text
    assert 'route="/khong-khi/tram/{station}"' in figures.text
    assert "khong-co" not in figures.text


async def test_health_is_alive_and_readiness_names_what_is_missing(web: Client) -> None:
    alive = await web.get("/healthz")
    assert (alive.status, alive.json["status"]) == (200, "alive")
    ready = await web.get("/readyz")
    assert (ready.status, ready.json["status"]) == (200, "ready")
    assert ready.header("cache-control") == "no-store"


async def test_an_unready_house_says_503(house: House) -> None:
    house.health.stop()
    reply = await Client(build_application(house)).get("/readyz")
    assert reply.status == 503
    assert reply.json["status"] == "not-ready"


@pytest.mark.parametrize("audience", [one for one in Audience if one is not Audience.PUBLIC])
async def test_a_page_that_is_not_for_you_does_not_exist(house: House, audience: Audience) -> None:
    pages = tuple(replace(page, audience=audience, glance="") for page in PACK.pages)
    closed = replace(house, packs=(replace(PACK, pages=pages),))
    client = Client(build_application(closed))
    for path in ("/khong-khi", "/khong-khi.csv", "/en/khong-khi/cach-tinh", "/khong-khi/tram/phu-thuy"):
        reply = await client.page(path)
        assert reply.status == 404, path
    assert "/khong-khi" not in (await client.page("/")).text.split("<main")[1]


async def test_home_has_no_row_of_a_page_that_is_not_for_you(house: House) -> None:
    pages = tuple(replace(page, audience=Audience.OFFICER) for page in PACK.pages)
    open_home = (await Client(build_application(house)).page("/")).text
    closed_home = (
        await Client(build_application(replace(house, packs=(replace(PACK, pages=pages),)))).page("/")
    ).text
    assert 'data-figure="air"' in open_home
    assert 'data-figure="air"' not in closed_home


async def test_what_the_door_refuses_is_said_to_machines_in_the_standards_form(web: Client) -> None:
    huge = [("content-length", "99999999999")]
    reply = await web.ask("POST", "/ngsi-ld/v1/entities", headers=huge, chunks=())
    assert reply.status == 413
    assert reply.header("content-type") == "application/json"
    assert reply.json["type"] == "https://uri.etsi.org/ngsi-ld/errors/InvalidRequest"


def test_every_route_of_the_ngsi_ld_face_says_whom_it_is_for() -> None:
    assert all(isinstance(route.audience, Audience) for route in ROUTES)
    assert {route.audience for route in ROUTES if route.method != "GET"} <= {
        Audience.MACHINE,
        Audience.PUBLIC,
    }


def test_every_route_says_whom_it_is_for(house: House) -> None:
    found = audiences_of(build_portal(house, Frame(house)))
    assert found["GET /khong-khi"] is Audience.PUBLIC
    assert found["GET /metrics"] is Audience.MACHINE
    assert {name.split(" ")[1] for name in found} >= {"/", "/en", "/healthz", "/readyz", "/static/{name:str}"}


def test_a_route_that_does_not_say_whom_it_is_for_is_refused_at_start() -> None:
    @get("/open")
    async def forgotten() -> str:
        return "secret"

    with pytest.raises(RouteWithoutAudience):
        audiences_of(Litestar([forgotten], openapi_config=None))


async def test_and_if_it_were_started_it_would_be_closed(house: House) -> None:
    @get("/open")
    async def forgotten() -> str:
        return "secret"

    def pass_on(_: object, error: Exception) -> None:
        raise error

    portal = Litestar(
        [forgotten],
        guards=[guard_audience],
        openapi_config=None,
        exception_handlers={Exception: pass_on},  # type: ignore[dict-item]  # it never returns
    )
    reply = await Client(Dispatcher(house, portal, Frame(house))).get("/open")  # type: ignore[arg-type]
    assert reply.status == 500
    assert "secret" not in reply.text
