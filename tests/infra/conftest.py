"""What a further PostgreSQL cannot change is not tested again on it."""

import os

import pytest


@pytest.fixture(autouse=True)
def _once(request: pytest.FixtureRequest) -> None:
    if os.environ.get("HAIDANG_TEST_POSTGRES") and "cluster" not in request.fixturenames:
        pytest.skip("does not depend on the server that HAIDANG_TEST_POSTGRES names")
