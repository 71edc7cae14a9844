"""Without the demo nothing made up exists: no pack ships it, and nobody starts it unasked."""

import inspect

import pytest

from haidang.infra.parts import Supervisor
from haidang.sdk.facts import read_facts
from haidang.sdk.loading import installed_packs, pack_folder
from haidang.sdk.model import Facts

SHIPPED = [(pack.pack_id, facts) for pack in installed_packs() for facts in pack.facts]


@pytest.mark.parametrize(("pack_id", "facts"), SHIPPED, ids=[facts.facts_id for _, facts in SHIPPED])
def test_no_fact_that_ships_is_made_up(pack_id: str, facts: Facts) -> None:
    read = read_facts(facts.facts_id, (pack_folder(pack_id) / facts.file).read_bytes())
    for one in read.entities:
        said = {**read.shared, **one.values}
        assert said.get("source")
        assert said["source"] != "synthetic"
        assert "mô phỏng" not in str(said)


def test_the_demo_is_played_only_when_it_is_asked_for() -> None:
    assert inspect.signature(Supervisor.__init__).parameters["demo"].default is False
