"""Entities over NGSI-LD: each route happy, denied and invalid."""

from typing import Any

import pytest

from tests.ngsi_ld.conftest import PACKS_LINK, Face

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"
NULL = "urn:ngsi-ld:null"
VOCABULARY = "https://uri.etsi.org/ngsi-ld/default-context/"
ID = "urn:ngsi-ld:Vehicle:A4567"


def vehicle(entity_id: str = ID, **more: Any) -> dict[str, Any]:
    return {
        "id": entity_id,
        "type": "Vehicle",
        "speed": {"type": "Property", "value": 55, "unitCode": "KMH", "observedAt": "2026-11-21T04:00:00Z"},
        "isParked": {
            "type": "Relationship",
            "object": "urn:ngsi-ld:OffStreetParking:Downtown1",
            "providedBy": {"type": "Relationship", "object": "urn:ngsi-ld:Person:Bob"},
        },
        **more,
    }


async def test_what_was_created_is_read_back_whole(face: Face) -> None:
    created = await face.post("/entities", vehicle())
    assert (created.status, created.headers["location"]) == (201, f"/ngsi-ld/v1/entities/{ID}")
    assert created.body == b""
    said = await face.get(f"/entities/{ID}", actor=face.nobody)
    assert said.status == 200
    assert said.headers["content-type"] == "application/json"
    assert said.headers["link"] == (
        f'<{CORE}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    )
    assert said.json == vehicle()


async def test_json_ld_carries_its_context_inside(face: Face) -> None:
    context = {"Vehicle": "https://example.org/Vehicle", "speed": "https://example.org/speed"}
    body = vehicle() | {"@context": [context, CORE]}
    assert (await face.post("/entities", body, content_type="application/ld+json")).status == 201
    said = await face.get(f"/entities/{ID}", headers={"accept": "application/ld+json"})
    assert said.headers["content-type"] == "application/ld+json"
    assert said.json["@context"] == CORE
    assert said.json["type"] == "https://example.org/Vehicle"
    assert said.json["https://example.org/speed"]["value"] == 55


async def test_the_packs_context_gives_short_names(face: Face) -> None:
    station = {"id": "urn:x:s", "type": "AirStation", "pm25": {"value": 18.5, "unitCode": "GQ"}}
    assert (await face.post("/entities", station, headers={"link": PACKS_LINK})).status == 201
    plain = (await face.get("/entities/urn:x:s")).json
    assert plain["https://example.vn/terms/pm25"]["value"] == 18.5
    short = (await face.get("/entities/urn:x:s", headers={"link": PACKS_LINK})).json
    assert short["type"] == "AirStation"
    assert short["pm25"] == {"type": "Property", "value": 18.5, "unitCode": "GQ"}
    served = await face.get("/jsonldContexts/packs", actor=face.nobody)
    assert served.json["@context"]["pm25"] == "https://example.vn/terms/pm25"


async def test_concise_simplified_and_sys_attrs(face: Face) -> None:
    await face.post("/entities", vehicle())
    concise = (await face.get(f"/entities/{ID}?options=concise")).json
    assert concise["speed"] == {"value": 55, "unitCode": "KMH", "observedAt": "2026-11-21T04:00:00Z"}
    assert concise["isParked"]["providedBy"] == {"object": "urn:ngsi-ld:Person:Bob"}
    simple = (await face.get(f"/entities/{ID}?format=simplified")).json
    assert simple == {
        "id": ID,
        "type": "Vehicle",
        "speed": 55,
        "isParked": "urn:ngsi-ld:OffStreetParking:Downtown1",
    }
    timed = (await face.get(f"/entities/{ID}?options=sysAttrs")).json
    assert timed["createdAt"] == timed["modifiedAt"] == "2026-11-21T05:00:00Z"
    assert timed["isParked"]["providedBy"]["createdAt"] == "2026-11-21T05:00:00Z"


@pytest.mark.parametrize(
    "entity_id",
    ["urn:ngsi-ld:Vehicle:%2F", "http:%2F%2Fexample.org%2Fv%2F1", "urn:ngsi-ld:Vehicle:Ph%C3%BA%20x"],
)
async def test_ids_are_read_from_the_raw_path(face: Face, entity_id: str) -> None:
    from urllib.parse import unquote  # noqa: PLC0415  # only here

    plain = unquote(entity_id).replace(" ", "-")
    raw = entity_id.replace("%20", "-")
    created = await face.post("/entities", vehicle(plain))
    assert created.status == 201
    assert created.headers["location"] == f"/ngsi-ld/v1/entities/{raw}"
    assert (await face.get(f"/entities/{raw}")).json["id"] == plain
    assert (await face.patch(f"/entities/{raw}/attrs/speed", {"value": 1})).status == 204
    assert (await face.delete(f"/entities/{raw}")).status == 204
    assert (await face.get(f"/entities/{raw}")).status == 404


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"id": None}, "BadRequestData"),
        ({"id": "not a uri"}, "BadRequestData"),
        ({"type": None}, "BadRequestData"),
        ({"type": []}, "BadRequestData"),
        ({"type": "type"}, "BadRequestData"),
        ({"type": "@graph"}, "BadRequestData"),
        ({"speed": None}, "BadRequestData"),
        ({"speed": {"type": "Speed", "value": 1}}, "BadRequestData"),
        ({"speed": {"type": ["Property"], "value": 1}}, "BadRequestData"),
        ({"speed": {"type": "Property"}}, "BadRequestData"),
        ({"speed": {"type": "Property", "value": None}}, "BadRequestData"),
        ({"speed": {"type": "Property", "value": 1, "object": "urn:a:b"}}, "BadRequestData"),
        ({"speed": {"type": "Property", "value": 1, "unitCode": 7}}, "BadRequestData"),
        ({"speed": {"type": "Property", "value": 1, "observedAt": "yesterday"}}, "BadRequestData"),
        ({"speed": {"type": "Property", "value": 1, "observedAt": "2026-11-21T05:06:00Z"}}, "BadRequestData"),
        ({"speed": {"type": "Property", "value": 1, "observedAt": "1899-12-31T00:00:00Z"}}, "BadRequestData"),
        ({"speed": {"type": "Property", "value": 1, "datasetId": "no uri"}}, "BadRequestData"),
        ({"speed": [{"type": "Property", "value": 1}, {"type": "Property", "value": 2}]}, "BadRequestData"),
        ({"speed": "urn:ngsi-ld:null"}, "BadRequestData"),
        ({"speed": {"type": "Property", "value": "a\u0000b"}}, "BadRequestData"),
        ({"isParked": {"type": "Relationship", "object": "x y"}}, "BadRequestData"),
        ({"location": {"type": "GeoProperty", "value": {"type": "Point"}}}, "BadRequestData"),
        ({"name": {"type": "LanguageProperty", "languageMap": {"vi": 1}}}, "BadRequestData"),
        ({"speed<x>": {"type": "Property", "value": 1}}, "BadRequestData"),
        ({"scope": "a b"}, "BadRequestData"),
        ({"@context": CORE}, "BadRequestData"),
    ],
)
async def test_a_wrong_entity_is_refused_and_leaves_nothing(
    face: Face, change: dict[str, Any], kind: str
) -> None:
    body = {
        name: value for name, value in (vehicle() | change).items() if value is not None or name == "speed"
    }
    said = await face.post("/entities", body)
    assert said.status == 400, said.body
    assert said.headers["content-type"] == "application/json"
    assert said.json["type"] == ERRORS + kind
    assert said.json["title"]
    assert said.json["detail"]
    assert await face.count("entity") == 0
    assert await face.count("observation") == 0


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "urn:a:b", "type": "T", ',
        b'{"id": "urn:a:b", "type": "T", "x": NaN}',
        b'{"id": "urn:a:b", "type": "T", "x": 1, "x": 2}',
        b'{"id": "urn:a:b", "type": "T", "x": {"type": "Property", "value": '
        + b"[" * 100
        + b"]" * 100
        + b"}}",
        b'{"id": "urn:a:b", "type": "T", "x": {"type": "Property", "value": '
        + b"[" * 9999
        + b"]" * 9999
        + b"}}",
        b'"\xff"',
        b"{}",
        b"[]",
        b"",
    ],
)
async def test_broken_json_is_an_invalid_request(face: Face, body: bytes) -> None:
    said = await face.post("/entities", body)
    assert (said.status, said.json["type"]) == (400, ERRORS + "InvalidRequest")


async def test_a_body_over_the_limit_is_refused_before_it_is_read(face: Face) -> None:
    announced = await face.post("/entities", b"{", headers={"content-length": "100001"})
    assert announced.status == 413
    streamed = await face.ask("POST", "/entities", chunks=[b"x" * 60_000] * 50)
    assert streamed.status == 413
    assert face.pieces_left == 48


async def test_media_types(face: Face) -> None:
    assert (await face.post("/entities", vehicle(), content_type="text/plain")).status == 415
    assert (await face.post("/entities", vehicle(), content_type="application/ld+json")).status == 400
    both = await face.post(
        "/entities",
        vehicle() | {"@context": CORE},
        content_type="application/ld+json",
        headers={"link": PACKS_LINK},
    )
    assert both.status == 400
    await face.post("/entities", vehicle())
    assert (await face.get(f"/entities/{ID}", headers={"accept": "text/html"})).status == 406
    assert (await face.get(f"/entities/{ID}", headers={"accept": "application/geo+json"})).status == 406
    better = await face.get(
        f"/entities/{ID}", headers={"accept": "application/json;q=0.5, application/ld+json"}
    )
    assert better.headers["content-type"] == "application/ld+json"
    any_of = await face.get(f"/entities/{ID}", headers={"accept": "text/html, */*;q=0.1"})
    assert any_of.headers["content-type"] == "application/json"


async def test_an_unreachable_context_fails_fast(face: Face) -> None:
    link = '<http://unreachable.invalid/c.jsonld>; rel="http://www.w3.org/ns/json-ld#context"'
    said = await face.post("/entities", vehicle(), headers={"link": link})
    assert (said.status, said.json["type"]) == (503, ERRORS + "LdContextNotAvailable")


async def test_writing_needs_a_machine(face: Face) -> None:
    await face.post("/entities", vehicle())
    for method, path, body in [
        ("POST", "/entities", vehicle("urn:x:y")),
        ("DELETE", f"/entities/{ID}", None),
        ("POST", f"/entities/{ID}/attrs", {"a": 1}),
        ("PATCH", f"/entities/{ID}/attrs", {"speed": {"value": 1}}),
        ("PATCH", f"/entities/{ID}/attrs/speed", {"value": 1}),
        ("DELETE", f"/entities/{ID}/attrs/speed", None),
        ("POST", "/entityOperations/create", [vehicle("urn:x:y")]),
        ("POST", "/entityOperations/upsert", [vehicle("urn:x:y")]),
    ]:
        said = await face.ask(method, path, body, actor=face.nobody)
        assert said.status == 401, (method, path)
        assert said.headers["www-authenticate"].startswith("Bearer")
    assert (await face.get("/entities?type=Vehicle&options=simplified")).json[0]["speed"] == 55


async def test_paths_and_methods(face: Face) -> None:
    assert (await face.get("/nothing/here")).status == 404
    said = await face.ask("PUT", f"/entities/{ID}", {})
    assert (said.status, said.headers["allow"]) == (405, "DELETE, GET")
    assert said.json["type"] == ERRORS + "OperationNotSupported"
    assert (await face.get("/entities?type=Vehicle&nonsense=1")).status == 400
    later = await face.get("/entities?type=Vehicle&q=speed>1")
    assert (later.status, later.json["type"]) == (422, ERRORS + "OperationNotSupported")
    assert "q" in later.json["detail"]


async def test_created_twice_is_a_conflict(face: Face) -> None:
    await face.post("/entities", vehicle())
    said = await face.post("/entities", vehicle())
    assert (said.status, said.json["type"]) == (409, ERRORS + "AlreadyExists")


async def test_a_tenant_is_echoed_and_another_is_unknown(face: Face) -> None:
    said = await face.get("/entities?type=Vehicle", headers={"ngsild-tenant": face.actor.tenant})
    assert (said.status, said.headers["ngsild-tenant"]) == (200, face.actor.tenant)
    other = await face.get("/entities?type=Vehicle", headers={"ngsild-tenant": "elsewhere"})
    assert (other.status, other.json["type"]) == (404, ERRORS + "NonexistentTenant")


async def test_append_update_patch_and_delete(face: Face) -> None:
    await face.post("/entities", vehicle())
    attrs = f"/entities/{ID}/attrs"
    assert (await face.post(attrs, {"brand": "Mercedes", "speed": {"value": 60}})).status == 204
    kept = await face.post(attrs + "?options=noOverwrite", {"speed": {"value": 1}, "colour": "red"})
    assert kept.status == 207
    assert kept.json["updated"] == [VOCABULARY + "colour"]
    assert kept.json["notUpdated"][0]["attributeName"] == VOCABULARY + "speed"
    updated = await face.patch(attrs, {"speed": {"value": 70, "unitCode": "KMH"}, "wheels": {"value": 4}})
    assert updated.status == 204
    assert (await face.patch(attrs + "/speed", {"value": 71})).status == 204
    assert (await face.patch(attrs + "/none", {"value": 71})).status == 404
    assert (await face.patch(attrs, {"wheels": NULL, "none": NULL})).json == {
        "updated": [VOCABULARY + "wheels"],
        "notUpdated": [{"attributeName": VOCABULARY + "none", "reason": "the entity has no such attribute"}],
    }
    assert (await face.patch(attrs + "/speed", {"value": 1, "object": "urn:a:b"})).status == 400
    now = (await face.get(f"/entities/{ID}")).json
    assert now["speed"] == {"type": "Property", "value": 71, "unitCode": "KMH"}
    assert (await face.patch(attrs + "/speed", {"unitCode": "urn:ngsi-ld:null"})).status == 204
    assert (await face.get(f"/entities/{ID}")).json["speed"] == {"type": "Property", "value": 71}
    assert (await face.patch(attrs, {"brand": "urn:ngsi-ld:null"})).status == 204
    assert (await face.delete(attrs + "/colour")).status == 204
    assert (await face.delete(attrs + "/colour")).status == 404
    assert (await face.get(f"/entities/{ID}")).json.keys() == {"id", "type", "speed", "isParked"}
    assert (await face.delete(f"/entities/{ID}")).status == 204
    assert (await face.delete(f"/entities/{ID}")).status == 404
    assert (await face.post(attrs, {"a": 1})).status == 404


async def test_declared_types_are_checked(face: Face) -> None:
    link = {"link": PACKS_LINK}
    for attribute in (
        {"value": 1, "unitCode": "KMH"},
        {"type": "Relationship", "object": "urn:a:b"},
        {"value": "much"},
    ):
        station = {"id": "urn:x:s", "type": "AirStation", "pm25": attribute}
        said = await face.post("/entities", station, headers=link)
        assert (said.status, said.json["type"]) == (400, ERRORS + "BadRequestData"), attribute
    await face.post("/entities", {"id": "urn:x:s", "type": "AirStation", "pm25": 1}, headers=link)
    wrong = {"value": 2, "unitCode": "KMH"}
    assert (await face.patch("/entities/urn:x:s/attrs", {"pm25": wrong}, headers=link)).status == 400
    assert (await face.patch("/entities/urn:x:s/attrs/pm25", wrong, headers=link)).status == 400
    assert (await face.post("/entities/urn:x:s/attrs", {"pm25": wrong}, headers=link)).status == 400


async def test_datasets_stand_side_by_side(face: Face) -> None:
    speeds = [
        {"type": "Property", "value": 55},
        {"type": "Property", "value": 54.5, "datasetId": "urn:ngsi-ld:Dataset:gps"},
    ]
    await face.post("/entities", vehicle(speed=speeds))
    assert (await face.get(f"/entities/{ID}")).json["speed"] == speeds
    changed = {"value": 60, "datasetId": "urn:ngsi-ld:Dataset:gps"}
    assert (await face.patch(f"/entities/{ID}/attrs/speed", changed)).status == 204
    now = (await face.get(f"/entities/{ID}")).json["speed"]
    assert [one["value"] for one in now] == [55, 60]
    simple = (await face.get(f"/entities/{ID}?options=keyValues")).json["speed"]
    assert simple == {"dataset": {"@none": 55, "urn:ngsi-ld:Dataset:gps": 60}}
    gone = await face.delete(f"/entities/{ID}/attrs/speed?datasetId=urn:ngsi-ld:Dataset:gps")
    assert gone.status == 204
    assert (await face.get(f"/entities/{ID}")).json["speed"]["value"] == 55


async def test_batch_upsert_says_what_was_created(face: Face) -> None:
    first = await face.post("/entityOperations/upsert", [vehicle("urn:v:1"), vehicle("urn:v:2")])
    assert (first.status, first.json) == (201, ["urn:v:1", "urn:v:2"])
    mixed = await face.post("/entityOperations/upsert", [vehicle("urn:v:2"), vehicle("urn:v:3")])
    assert (mixed.status, mixed.json) == (201, ["urn:v:3"])
    known = await face.post("/entityOperations/upsert", [vehicle("urn:v:1")])
    assert (known.status, known.body) == (204, b"")
    partly = await face.post("/entityOperations/upsert", [vehicle("urn:v:1"), {"id": "urn:v:9"}, 5])
    assert partly.status == 207
    assert partly.json["success"] == ["urn:v:1"]
    assert [one["entityId"] for one in partly.json["errors"]] == ["urn:v:9", "urn:ngsi-ld:unknown"]
    assert partly.json["errors"][0]["error"]["type"] == ERRORS + "BadRequestData"
    assert (await face.post("/entityOperations/upsert", [])).status == 400
    assert (await face.post("/entityOperations/upsert", {"id": "urn:v:1"})).status == 400


async def test_batch_create_and_delete(face: Face) -> None:
    made = await face.post("/entityOperations/create", [vehicle("urn:v:1"), vehicle("urn:v:2")])
    assert (made.status, made.json) == (201, ["urn:v:1", "urn:v:2"])
    again = await face.post("/entityOperations/create", [vehicle("urn:v:2"), vehicle("urn:v:3")])
    assert (again.status, again.json["success"]) == (207, ["urn:v:3"])
    assert again.json["errors"][0]["error"]["type"] == ERRORS + "AlreadyExists"
    gone = await face.post("/entityOperations/delete", ["urn:v:1", "urn:v:2"])
    assert (gone.status, gone.body) == (204, b"")
    partly = await face.post("/entityOperations/delete", ["urn:v:3", "urn:v:1", "no uri", 5])
    assert (partly.status, partly.json["success"]) == (207, ["urn:v:3"])
    assert [one["entityId"] for one in partly.json["errors"]] == ["no uri", "urn:ngsi-ld:unknown", "urn:v:1"]
    assert (await face.post("/entityOperations/delete", {})).status == 400
    assert (await face.post("/entityOperations/delete", ["urn:v:1"], actor=face.nobody)).status == 401


async def test_scopes_are_appended_updated_and_deleted(face: Face) -> None:
    await face.post("/entities", vehicle())
    attrs = f"/entities/{ID}/attrs"
    none = await face.patch(attrs, {"scope": "/a"})
    assert (none.status, none.json["notUpdated"][0]["attributeName"]) == (
        207,
        "https://uri.etsi.org/ngsi-ld/scope",
    )
    assert (await face.post(attrs, {"scope": ["/a", "/b"]})).status == 204
    assert (await face.post(attrs + "?options=noOverwrite", {"scope": ["/d", "/a"]})).status == 204
    assert (await face.get(f"/entities/{ID}")).json["scope"] == ["/a", "/b", "/d"]
    assert (await face.patch(attrs, {"scope": "/c"})).status == 204
    assert (await face.get(f"/entities/{ID}")).json["scope"] == "/c"
    assert (await face.delete(attrs + "/scope")).status == 204
    assert "scope" not in (await face.get(f"/entities/{ID}")).json
    assert (await face.delete(attrs + "/scope")).status == 404


async def test_a_partial_update_keeps_the_attribute_what_it_is(face: Face) -> None:
    await face.post("/entities", vehicle())
    for wrong in ({"type": "Relationship", "object": "urn:a:b"}, {"object": "urn:a:b"}, {}):
        assert (await face.patch(f"/entities/{ID}/attrs/speed", wrong)).status == 400
    added = {"speed": {"value": 56, "datasetId": "urn:x:gps"}}
    assert (await face.patch(f"/entities/{ID}/attrs", added)).status == 204
    assert len((await face.get(f"/entities/{ID}")).json["speed"]) == 2
    assert (await face.patch("/entities//attrs/speed", {"value": 1})).status == 400


async def test_batch_upsert_replaces_or_updates_and_the_later_of_two_wins(face: Face) -> None:
    await face.post("/entityOperations/upsert", [vehicle("urn:v:1")])
    only = {"id": "urn:v:1", "type": "Vehicle", "colour": "red"}
    await face.post("/entityOperations/upsert?options=update", [only])
    assert "speed" in (await face.get("/entities/urn:v:1")).json
    await face.post("/entityOperations/upsert", [only, {**only, "colour": "blue"}])
    assert (await face.get("/entities/urn:v:1?options=keyValues")).json == {**only, "colour": "blue"}


async def test_queries_select_project_page_and_count(face: Face) -> None:
    batch = [vehicle(f"urn:v:{number}") for number in range(7)]
    batch.append({"id": "urn:b:1", "type": ["Bus", "Vehicle"], "line": 5})
    await face.post("/entityOperations/upsert", batch)
    first = await face.get("/entities?type=Vehicle&limit=3&count=true", actor=face.nobody)
    assert [one["id"] for one in first.json] == ["urn:b:1", "urn:v:0", "urn:v:1"]
    assert first.headers["ngsild-results-count"] == "8"
    assert 'rel="next"' in first.headers["link"]
    assert 'rel="prev"' not in first.headers["link"]
    assert "</ngsi-ld/v1/entities?type=Vehicle&limit=3&count=true&offset=3>" in first.headers["link"]
    last = await face.get("/entities?type=Vehicle&limit=3&offset=6")
    assert [one["id"] for one in last.json] == ["urn:v:5", "urn:v:6"]
    assert 'rel="next"' not in last.headers["link"]
    assert "offset=3" in last.headers["link"]
    both = await face.get("/entities?type=(Bus;Vehicle),Nothing&options=keyValues&pick=id,line")
    assert both.json == [{"id": "urn:b:1", "line": 5}]
    assert (await face.get("/entities?type=Vehicle&options=keyValues&pick=line")).json == [{"line": 5}]
    assert (await face.get("/entities/urn:b:1?pick=none")).status == 404
    assert (await face.get("/entities/urn:b:1?omit=id,type,line")).status == 404
    simple = (await face.get("/entities/urn:b:1?options=concise,sysAttrs&format=keyValues")).json
    assert (simple["line"], "createdAt" in simple) == (5, True)
    omitted = await face.get("/entities?type=Bus&options=keyValues&omit=type")
    assert omitted.json == [{"id": "urn:b:1", "line": 5}]
    assert [one["id"] for one in (await face.get("/entities?attrs=line")).json] == ["urn:b:1"]
    assert len((await face.get("/entities?local=true&idPattern=^urn:v:[0-3]$")).json) == 4
    by_id = await face.get("/entities?type=Vehicle&id=urn:v:3,urn:v:none")
    assert [one["id"] for one in by_id.json] == ["urn:v:3"]
    assert (await face.get("/entities?type=None")).json == []
    none = await face.get("/entities?type=Vehicle&limit=0&count=true")
    assert (none.json, none.headers["ngsild-results-count"]) == ([], "8")


@pytest.mark.parametrize(
    ("query", "status", "kind"),
    [
        ("", 400, "BadRequestData"),
        ("type=Vehicle&limit=1001", 403, "TooManyResults"),
        ("type=Vehicle&limit=0", 400, "BadRequestData"),
        ("type=Vehicle&limit=-1", 400, "BadRequestData"),
        ("type=Vehicle&offset=x", 400, "BadRequestData"),
        ("type=(Vehicle", 400, "BadRequestData"),
        ("type=Vehicle)", 400, "BadRequestData"),
        (f"type={'(' * 4000}", 400, "BadRequestData"),
        ("type=Vehicle&type=Bus", 400, "InvalidRequest"),
        ("type=T&idPattern=[", 400, "BadRequestData"),
        ("type=T&id=none", 400, "BadRequestData"),
        ("id=urn:v:1", 400, "BadRequestData"),
        ("type=T&attrs=a&pick=b", 400, "BadRequestData"),
        ("type=T&pick=a&omit=a", 400, "BadRequestData"),
        ("type=T&pick=a;b", 400, "BadRequestData"),
        ("type=T&pick=a'b", 400, "BadRequestData"),
        ("type=T&pick=a{b}", 422, "OperationNotSupported"),
        ("type=T&options=nonsense", 400, "InvalidRequest"),
        ("type=T&options=aggregatedValues", 422, "OperationNotSupported"),
        ("type=Vehicle&count=maybe", 400, "BadRequestData"),
        ("type=Vehicle&knownAt=then", 400, "BadRequestData"),
        ("type=Vehicle&georel=near", 422, "OperationNotSupported"),
        ("type=Vehicle&orderBy=speed", 422, "OperationNotSupported"),
    ],
)
async def test_wrong_queries_are_refused(face: Face, query: str, status: int, kind: str) -> None:
    said = await face.get(f"/entities?{query}")
    assert (said.status, said.json["type"]) == (status, ERRORS + kind)


async def test_an_idempotency_key_makes_a_post_happen_once(face: Face) -> None:
    key = {"idempotency-key": '"a1"'}
    first = await face.post("/entities", vehicle(), headers=key)
    again = await face.post("/entities", vehicle(), headers=key)
    assert (first.status, again.status) == (201, 201)
    assert again.headers["location"] == first.headers["location"]
    assert await face.count("entity") == 1
    other = await face.post("/entities", vehicle("urn:x:y"), headers=key)
    assert other.status == 422
    refused = await face.post("/entities", vehicle(), headers={"idempotency-key": '"a2"'})
    assert refused.status == 409
