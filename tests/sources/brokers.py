"""Real brokers for tests: the embedded one and Mosquitto with the configuration we publish."""

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from haidang.infra.broker import broker_command
from haidang.infra.mqtt import MqttAddress

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
PUBLISHED_CONFIGURATION = Path(__file__).parents[2] / "deploy" / "mosquitto.conf"


def free_port() -> int:
    """A port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, *, patience_s: float = 15.0) -> None:
    """Wait until something accepts connections on `port`."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


class RealBroker:
    """A broker process on a port of its own; it can be killed and started again."""

    def __init__(self, kind: str, folder: Path, *, more: str = "") -> None:
        self.kind = kind
        self._more = more
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> MqttAddress:
        """Where it listens."""
        return MqttAddress("127.0.0.1", self.port)

    @property
    def url(self) -> str:
        """Where it listens, as a setting."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process, while it runs."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        command = broker_command(self.port) if self.kind == "embedded" else self._mosquitto()
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def _mosquitto(self) -> list[str]:
        assert MOSQUITTO
        text = PUBLISHED_CONFIGURATION.read_text(encoding="utf-8")
        text, ports = re.subn(r"^listener 1883 ", f"listener {self.port} ", text, flags=re.MULTILINE)
        text, places = re.subn(
            r"^persistence_location .*$", f"persistence_location {self._folder}/", text, flags=re.MULTILINE
        )
        assert (ports, places) == (1, 1)
        if self._more:
            text = text.replace("allow_anonymous true", "allow_anonymous false") + self._more
        if os.geteuid() == 0:
            # It would drop to its own user, who cannot write a test's folder.
            text += "\nuser root\n"
        configuration = self._folder / "mosquitto.conf"
        configuration.write_text(text, encoding="utf-8")
        return [MOSQUITTO, "-c", str(configuration)]

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def stop(self) -> None:
        """End it as an operator would (SIGTERM)."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None
