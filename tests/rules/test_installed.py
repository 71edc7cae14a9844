"""Every rule of an installed pack can be used."""

import pytest

from haidang.rules.plans import declared_of, plan_rule
from haidang.sdk.loading import installed_packs
from haidang.sdk.model import Rule

PACKS = installed_packs()


@pytest.mark.parametrize(
    "rule", [rule for pack in PACKS for rule in pack.rules], ids=lambda rule: str(rule.rule_id)
)
def test_a_rule_of_an_installed_pack_can_be_used(rule: Rule) -> None:
    assert plan_rule(rule, declared_of(PACKS)).attributes
