"""The demo's tests speak to the same real brokers as those of intake."""

from tests.sources.conftest import embedded_broker

__all__ = ["embedded_broker"]
