"""Every route, consumer, job, page and command says whom it is for; what says nothing is closed."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import click
import pytest

from haidang.app import consumers_of, jobs_of
from haidang.cli import haidang as command_line
from haidang.infra.consumers import Consumer
from haidang.infra.jobs import Job
from haidang.kernel.actors import Audience, anonymous, machine
from haidang.kernel.instants import SystemClock
from haidang.sdk.loading import installed_packs
from haidang.sdk.model import Page
from haidang.web.api.ngsi_ld.routes import ROUTES


@pytest.mark.parametrize("declaration", [Consumer, Job, Page])
def test_a_declaration_cannot_be_made_without_an_audience(declaration: type[Any]) -> None:
    field = next(one for one in dataclasses.fields(declaration) if one.name == "audience")
    assert field.default is dataclasses.MISSING
    assert field.default_factory is dataclasses.MISSING


def commands(group: click.Command, path: str = "haidang") -> Iterator[tuple[str, click.Command]]:
    """Every command of the tree, by what one types."""
    yield path, group
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, f"{path} {name}")


@pytest.mark.parametrize(("typed", "command"), list(commands(command_line)), ids=str)
def test_every_command_says_whom_it_is_for(typed: str, command: click.Command) -> None:
    assert isinstance(getattr(command, "audience", None), Audience), typed


def test_every_page_of_a_pack_is_open_to_somebody() -> None:
    pages = [page for pack in installed_packs() for page in pack.pages]
    assert pages
    assert all(isinstance(page.audience, Audience) for page in pages)


def test_a_visitor_belongs_to_the_public_only_and_a_machine_to_machines() -> None:
    assert [one for one in Audience if anonymous().belongs_to(one)] == [Audience.PUBLIC]
    assert [one for one in Audience if machine("station").belongs_to(one)] == [
        Audience.PUBLIC,
        Audience.MACHINE,
    ]


# What is asked by POST and changes nothing.
_QUESTIONS_BY_POST = {"/entityOperations/query", "/temporal/entityOperations/query"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda one: f"{one.method} {one.pattern}")
def test_every_ngsi_ld_route_says_whom_it_is_for_and_writes_need_a_token(route: Any) -> None:
    assert isinstance(route.audience, Audience)
    if route.method not in {"GET", "HEAD", "OPTIONS"} and route.pattern not in _QUESTIONS_BY_POST:
        assert not anonymous().belongs_to(route.audience)


def test_every_consumer_and_job_of_the_house_says_whom_it_is_for() -> None:
    declared: list[Consumer | Job] = [
        *consumers_of(installed_packs(), SystemClock()),
        *jobs_of(installed_packs(), SystemClock()),
    ]
    assert declared
    assert [one.name for one in declared if not isinstance(one.audience, Audience)] == []
