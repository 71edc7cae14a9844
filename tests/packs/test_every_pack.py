"""Every installed pack keeps what packs promise: one test for each pack and each check."""

import pytest

from haidang.sdk.conformance import CHECKS, check_packs
from haidang.sdk.loading import installed_packs, pack_folder
from haidang.sdk.model import Pack

PACKS = installed_packs()


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("pack", PACKS, ids=[pack.pack_id for pack in PACKS])
def test_an_installed_pack_has_no_findings(pack: Pack, check: str) -> None:
    assert [str(finding) for finding in CHECKS[check](pack, pack_folder(pack.pack_id))] == []


def test_packs_do_not_claim_each_others_names() -> None:
    assert [str(finding) for finding in check_packs(PACKS)] == []
