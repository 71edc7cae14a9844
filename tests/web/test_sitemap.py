"""What search engines are told: absolute addresses where the site knows its own, none otherwise."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from urllib.parse import urlsplit

import msgspec
import pytest

from haidang.infra.settings import PublicUrlNotBare, SettingNotAnAddress, read_settings
from haidang.web.asgi import build_application
from haidang.web.portal.sitemap import sitemap_document
from haidang.web.shared.house import House
from tests.web.client import Client

SITE = "https://lamdong.gov.vn"
SPACES = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9", "x": "http://www.w3.org/1999/xhtml"}


def known(house: House, address: str = SITE) -> Client:
    settings = msgspec.structs.replace(house.settings, public_url=address)
    return Client(build_application(replace(house, settings=settings)))


@pytest.mark.parametrize("given", [SITE, SITE + "/", "http://127.0.0.1:8000", "https://[::1]:8443"])
def test_an_address_of_a_site_is_taken(given: str) -> None:
    settings = read_settings({"HAIDANG_PUBLIC_URL": given})
    assert settings.site == given.rstrip("/")
    assert read_settings({}).site == ""


@pytest.mark.parametrize(
    "given",
    [
        "https://",
        SITE + "/a",
        SITE + "?a",
        "https://a@b.vn",
        'https://b.vn"',
        "https://b.vn\n",
        "https://b v",
    ],
)
def test_what_is_more_or_less_than_an_address_is_refused(given: str) -> None:
    with pytest.raises(PublicUrlNotBare):
        read_settings({"HAIDANG_PUBLIC_URL": given})


@pytest.mark.parametrize("given", ["lamdong.gov.vn", "ftp://b.vn", "javascript:alert(1)"])
def test_an_address_of_another_kind_is_refused(given: str) -> None:
    with pytest.raises(SettingNotAnAddress):
        read_settings({"HAIDANG_PUBLIC_URL": given})


@pytest.mark.parametrize("path", ["/", "/en", "/khong-khi", "/en/don-vi"])
async def test_a_page_names_itself_absolutely_or_not_at_all(house: House, web: Client, path: str) -> None:
    page = (await known(house).page(path)).text
    assert f'<link rel="canonical" href="{SITE}{path}">' in page
    assert page.count(f'hreflang="x-default" href="{SITE}/') == 1
    assert f'<link rel="alternate" hreflang="en" href="{SITE}/en' in page
    assert 'rel="canonical"' not in (await web.page(path)).text


async def test_robots_are_told_of_the_sitemap_where_there_is_one(house: House, web: Client) -> None:
    reply = await known(house, SITE + "/").get("/robots.txt")
    assert reply.status == 200
    assert reply.header("content-type") == "text/plain; charset=utf-8"
    assert reply.text.startswith("User-agent: *\nDisallow: /ngsi-ld/\n")
    assert reply.text.endswith(f"\nSitemap: {SITE}/sitemap.xml\n")
    assert "Sitemap" not in (await web.get("/robots.txt")).text


async def test_without_an_address_of_its_own_a_site_has_no_sitemap(web: Client) -> None:
    assert (await web.get("/sitemap.xml")).status == 404


async def test_every_page_of_the_sitemap_is_there_in_both_languages(country_house: House) -> None:
    web = known(country_house)
    reply = await web.get("/sitemap.xml")
    assert reply.status == 200
    assert reply.header("content-type") == "application/xml"
    listed = [one.text or "" for one in ET.fromstring(reply.text).findall("s:url/s:loc", SPACES)]  # noqa: S314 - our own
    assert len(listed) == len(set(listed))
    assert {SITE + "/", f"{SITE}/en", f"{SITE}/khong-khi", f"{SITE}/en/ban-do"} <= set(listed)
    units = [one for one in listed if one.startswith(f"{SITE}/don-vi/")]
    assert len(units) == 125
    some = [one for one in listed if "/don-vi/" not in one] + units[:2]
    for address in some:
        page = await web.page(urlsplit(address).path)
        assert page.status == 200, address
        assert f'<link rel="canonical" href="{address}">' in page.text


def test_what_stands_in_addresses_is_escaped() -> None:
    document = sitemap_document(SITE, ['/a?b=1&c=<">'])
    found = ET.fromstring(document).findall("s:url/x:link", SPACES)  # noqa: S314 - our own
    assert [one.get("href") for one in found][:2] == [f'{SITE}/a?b=1&c=<">', f'{SITE}/en/a?b=1&c=<">']
