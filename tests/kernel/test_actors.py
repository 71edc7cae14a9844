"""Actors: what is public is open to all, everything else to those it is declared for."""

from haidang.kernel.actors import Audience, anonymous, machine, part


def test_a_visitor_belongs_to_the_public_only() -> None:
    assert [one for one in Audience if anonymous().belongs_to(one)] == [Audience.PUBLIC]


def test_a_machine_is_no_officer() -> None:
    station = machine("air-station")
    assert station.belongs_to(Audience.MACHINE)
    assert not station.belongs_to(Audience.OFFICER)
    assert not station.belongs_to(Audience.ADMINISTRATOR)


def test_a_part_of_the_platform_belongs_to_every_audience() -> None:
    assert all(part("sequencer").belongs_to(one) for one in Audience)
