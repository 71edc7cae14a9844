"""What the tests of intake may ask for: a real broker of either kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.brokers import MOSQUITTO, RealBroker

needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="Mosquitto is not installed")


@pytest.fixture(
    params=["embedded", pytest.param("mosquitto", marks=[pytest.mark.mosquitto, needs_mosquitto])]
)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealBroker]:
    """Each kind of broker in turn, started."""
    running = RealBroker(request.param, tmp_path)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def embedded_broker(tmp_path: Path) -> Iterator[RealBroker]:
    """The embedded broker, started."""
    running = RealBroker("embedded", tmp_path)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[RealBroker]:
    """Mosquitto with the configuration we publish, started."""
    if MOSQUITTO is None:
        pytest.skip("Mosquitto is not installed")
    running = RealBroker("mosquitto", tmp_path)
    running.start()
    yield running
    running.kill()
