"""Who acts, and which audiences they belong to. Every service verb takes an Actor first."""

from dataclasses import dataclass
from enum import StrEnum

DEFAULT_TENANT = "default"


class Audience(StrEnum):
    """Who a route, consumer or command is for. There is no default: each one declares its own."""

    PUBLIC = "public"
    SIGNED_IN = "signed-in"
    OFFICER = "officer"
    ADMINISTRATOR = "administrator"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, a machine or a part of the platform, acting within one tenant.

    `actor_id` is a stable pseudonymous URN and never a name; `audiences` are those this
    actor belongs to, PUBLIC always among them.
    """

    actor_id: str
    audiences: frozenset[Audience]
    tenant: str = DEFAULT_TENANT

    def belongs_to(self, audience: Audience) -> bool:
        """Whether something declared for `audience` is open to this actor."""
        return audience is Audience.PUBLIC or audience in self.audiences


def anonymous(tenant: str = DEFAULT_TENANT) -> Actor:
    """A visitor of whom nothing is known."""
    return Actor("urn:haidang:actor:anonymous", frozenset({Audience.PUBLIC}), tenant)


def machine(name: str, tenant: str = DEFAULT_TENANT) -> Actor:
    """A program outside, known by a token: it may call what is declared for machines."""
    return Actor(f"urn:haidang:machine:{name}", frozenset({Audience.PUBLIC, Audience.MACHINE}), tenant)


def part(name: str, tenant: str = DEFAULT_TENANT) -> Actor:
    """A part of the platform itself (a consumer, a job, a command): every audience."""
    return Actor(f"urn:haidang:part:{name}", frozenset(Audience), tenant)
