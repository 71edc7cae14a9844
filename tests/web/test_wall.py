"""The wall: asks for its size, is readable at that distance or says that it is not, and has no controls."""

import re

import pytest

from haidang.web.shared.walls import SIGHT, cap_height_m
from tests.web.client import Client


async def test_it_asks_before_it_shows(city: Client) -> None:
    text = (await city.page("/ioc/wall")).text
    assert text.count("<input") == 3
    assert "data-wall=" not in text


@pytest.mark.parametrize(
    ("width_m", "distance_m", "width_px"), [("2.4", "4", 1920), ("4,8", "6", 3840), ("1.2", "3", 1920)]
)
async def test_capitals_are_a_two_hundredth_of_the_distance_high(
    city: Client, width_m: str, distance_m: str, width_px: int
) -> None:
    text = (await city.page(f"/ioc/wall?width_m={width_m}&distance_m={distance_m}&width_px={width_px}")).text
    found = re.search(r'data-wall="(\d+)"', text)
    assert found is not None
    metres, away = (float(one.replace(",", ".")) for one in (width_m, distance_m))
    assert cap_height_m(int(found[1]), width_m=metres, width_px=width_px) >= away / SIGHT
    body = text[text.index("<body") :]
    assert re.findall(r"<(?:button|form|input|select)\b", body) == []
    assert "Quy Nhơn" in body


@pytest.mark.parametrize(
    "query",
    ["width_m=0.5&distance_m=50&width_px=1920", "width_m=x&distance_m=4&width_px=1920"],
)
async def test_a_wall_that_cannot_be_read_is_said(city: Client, query: str) -> None:
    text = (await city.page(f"/ioc/wall?{query}")).text
    assert 'role="alert"' in text
    assert "data-wall=" not in text


async def test_the_same_in_english(city: Client) -> None:
    assert (await city.page("/en/ioc/wall")).status == 200
    assert (await city.page("/en/ioc")).status == 200
