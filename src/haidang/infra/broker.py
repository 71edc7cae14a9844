"""The embedded MQTT broker: `iotcore` (rumqttd) in a process of its own, on loopback only.

`python -m haidang.infra.broker --port 1883` runs it in the foreground; whoever starts it
watches it. Its sessions and queues live in memory: a reading that a device was told is
received survives a crash of our worker, and does not survive a crash of this broker. Where
that matters, run Mosquitto with the configuration of `deploy/mosquitto.conf`. See ADR 0029.
"""

import argparse
import logging
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

LOOPBACK = "127.0.0.1"

_SEGMENT_BYTES = 16 * 2**20
_SEGMENTS = 16
"""What waits for a consumer that is away: 256 MiB for each subscription, then the oldest go."""

LARGEST_PAYLOAD_BYTES = 4 * 2**20
"""More than any reading: larger ones cost the sender its connection, smaller ones are judged by us."""

_CONFIGURATION = """\
id = 0

[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = {segment_bytes}
max_segment_count = {segments}

[v4.1]
name = "haidang"
listen = "{listen}:{port}"
next_connection_delay_ms = 1

[v4.1.connections]
connection_timeout_ms = 60000
max_payload_size = {largest_payload_bytes}
max_inflight_count = 100
dynamic_filters = true
"""


def broker_configuration(port: int) -> str:
    """The rumqttd configuration, as TOML: one plain MQTT 3.1.1 listener on loopback."""
    return _CONFIGURATION.format(
        listen=LOOPBACK,
        port=port,
        segment_bytes=_SEGMENT_BYTES,
        segments=_SEGMENTS,
        largest_payload_bytes=LARGEST_PAYLOAD_BYTES,
    )


def broker_command(port: int) -> list[str]:
    """The command line that runs the broker on `port`, for a supervisor or a test."""
    return [sys.executable, "-m", "haidang.infra.broker", "--port", str(port)]


def run_broker(port: int) -> None:
    """Run the broker in this process until it is terminated."""
    # Imported here alone: the native module is needed by this process only.
    from iotcore import IotCoreBroker  # noqa: PLC0415 (a web process must not load a broker)

    # rumqttd reports every routed packet as an error span.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    # The native loop never comes back to Python: the default actions end it at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with tempfile.TemporaryDirectory(prefix="haidang-broker-") as folder:
        configuration = Path(folder) / "rumqttd.toml"
        configuration.write_text(broker_configuration(port), encoding="utf-8")
        broker = IotCoreBroker(config_path=str(configuration))
        broker.check_ports()
    broker.run_forever()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the embedded broker in the foreground."""
    parser = argparse.ArgumentParser(prog="haidang broker", description=main.__doc__)
    parser.add_argument("--port", type=int, default=1883)
    run_broker(parser.parse_args(arguments).port)


if __name__ == "__main__":
    main()
