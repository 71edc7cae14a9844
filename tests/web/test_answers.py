"""Conditional and compressed answers, static files, problems."""

from pathlib import Path

import pytest

from haidang.infra.translations import Translations
from haidang.kernel.errors import Conflict, Denied, HaidangError, Invalid, NotFound, Unavailable
from haidang.web.shared.answers import Whole, accepted_encodings, matches
from haidang.web.shared.errors import PageNotFound
from haidang.web.shared.problems import (
    STATUS_OF_ERROR,
    STATUS_OF_KIND,
    TITLES,
    problem_of,
    status_of,
    wants_page,
)
from haidang.web.shared.static import StaticFiles
from tests.web.client import Client


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("", []),
        ("gzip", ["gzip"]),
        ("gzip, br", ["br", "gzip"]),
        ("br;q=0, gzip;q=0.5", ["gzip"]),
        ("BR", ["br"]),
        ("gzip;q=oops", []),
        ("identity, *", []),
    ],
)
def test_encodings_are_read_as_sent(header: str, taken: list[str]) -> None:
    assert accepted_encodings(header) == taken


def test_tags_are_compared_weakly() -> None:
    assert matches('W/"a"', '"a"')
    assert matches('"x", "a"', '"a"')
    assert matches("*", '"a"')
    assert not matches("", '"a"')


def test_each_encoding_has_its_own_tag() -> None:
    body = b"x" * 5000
    tags = {
        dict(Whole(body, b"text/html").answer([(b"accept-encoding", wanted)]).headers)[b"etag"]
        for wanted in (b"", b"br", b"gzip")
    }
    assert len(tags) == 3


def test_an_error_page_has_no_tag_and_is_never_304() -> None:
    answer = Whole(b"x", b"text/html", status=404).answer([(b"if-none-match", b"*")])
    assert answer.status == 404
    assert b"etag" not in dict(answer.headers)


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("text/html", True),
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", True),
        ("*/*", False),
        ("", False),
        ("application/json, text/html;q=0", False),
        ("application/json;q=1, text/html;q=0.1", True),
    ],
)
def test_a_page_is_for_who_asks_for_html_by_name(accept: str, *, page: bool) -> None:
    assert wants_page(accept) is page


@pytest.mark.parametrize(
    ("kind", "status"), [(NotFound, 404), (Denied, 403), (Invalid, 422), (Conflict, 409), (Unavailable, 503)]
)
def test_each_kind_has_its_status(kind: type[HaidangError], status: int) -> None:
    class OneOfThem(kind):  # type: ignore[misc, valid-type]
        """A sentence with {field}."""

    assert status_of(OneOfThem()) == status


def test_every_status_has_a_title() -> None:
    assert {*map(int, STATUS_OF_KIND.values()), *map(int, STATUS_OF_ERROR.values())} <= set(TITLES)


def test_a_problem_speaks_the_readers_language(translations: Translations) -> None:
    assert problem_of(PageNotFound(), translations, "vi").detail == "Không có trang nào ở địa chỉ này."


async def test_static_files_last_for_ever_in_the_encoding_of_the_build(city: Client) -> None:
    page = (await city.page("/")).text
    style = page.split('rel="stylesheet" href="')[1].split('"')[0]
    plain = await city.get(style)
    packed = await city.get(style, ("accept-encoding", "gzip, br"))
    assert plain.status == packed.status == 200
    assert packed.header("content-encoding") == "br"
    assert packed.body == plain.body
    assert plain.header("cache-control") == "public, max-age=31536000, immutable"
    assert (plain.header("content-type") or "").startswith("text/css")
    again = await city.get(style, ("if-none-match", plain.header("etag") or ""))
    assert again.status == 304


@pytest.mark.parametrize(
    "name",
    ["no.css", "..%2f..%2fapp.py", "%2e%2e%2fasgi.py", ".vite", "manifest.json", "..", ".", "a%00b", "x.br"],
)
async def test_what_the_build_did_not_make_does_not_exist(web: Client, name: str) -> None:
    assert (await web.get(f"/static/{name}")).status == 404


def test_a_static_file_without_twins_is_sent_plain(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("1")
    (tmp_path / "a.js.gz").write_bytes(b"packed")
    files = StaticFiles(tmp_path)
    assert files.answer("a.js", []).body == b"1"
    assert files.answer("a.js", [(b"accept-encoding", b"br, gzip")]).body == b"packed"
    assert files.answer("a.js", [(b"accept-encoding", b"br")]).body == b"1"
    with pytest.raises(PageNotFound):
        files.answer("a.js.gz", [])
