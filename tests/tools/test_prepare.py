"""Set-up on a bare machine: what uv is told, and when a step is done again."""

from pathlib import Path

import prepare
import pytest


@pytest.fixture
def pip_conf(tmp_path: Path) -> dict[str, str]:
    """An environment in which pip is configured by a file only."""
    conf = tmp_path / "pip.conf"
    conf.write_text(
        "[global]\n"
        "index-url = https://mirror.example/simple\n"
        "extra-index-url = https://one.example/simple https://two.example/simple\n"
        "find-links = /srv/wheels /srv/more\n"
        "cert = /etc/ssl/own.pem\n"
        "trusted-host = mirror.example\n"
    )
    return {"PIP_CONFIG_FILE": str(conf), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}


@pytest.fixture(autouse=True)
def this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter of the tests has pip too, wherever they run."""
    monkeypatch.setattr(prepare, "PYTHON", prepare.VENV / "bin" / "python")


def test_uv_is_told_what_pip_is_configured_with(pip_conf: dict[str, str]) -> None:
    told = prepare.uv_environment(pip_conf)
    assert told["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert told["UV_INDEX"] == "https://one.example/simple https://two.example/simple"
    assert told["UV_FIND_LINKS"] == "/srv/wheels,/srv/more"
    assert told["SSL_CERT_FILE"] == "/etc/ssl/own.pem"
    assert told["UV_INSECURE_HOST"] == "mirror.example"


def test_what_uv_is_told_already_stays(pip_conf: dict[str, str]) -> None:
    own = {"UV_DEFAULT_INDEX": "https://chosen.example/simple", "SSL_CERT_FILE": "/chosen.pem"}
    told = prepare.uv_environment(pip_conf | own)
    assert (told["UV_DEFAULT_INDEX"], told["SSL_CERT_FILE"]) == tuple(own.values())


def test_the_environment_wins_over_pips_file(pip_conf: dict[str, str]) -> None:
    told = prepare.uv_environment(pip_conf | {"PIP_INDEX_URL": "https://env.example/simple"})
    assert told["UV_DEFAULT_INDEX"] == "https://env.example/simple"


def test_node_trusts_the_certificates_that_python_trusts() -> None:
    told = prepare.node_environment({"SSL_CERT_FILE": "/etc/ssl/own.pem", "PATH": "/usr/bin"})
    assert told["NODE_EXTRA_CA_CERTS"] == "/etc/ssl/own.pem"
    assert told["PATH"].startswith(str(prepare.VENV / "bin"))
    own = prepare.node_environment({"SSL_CERT_FILE": "/a.pem", "NODE_EXTRA_CA_CERTS": "/b.pem"})
    assert own["NODE_EXTRA_CA_CERTS"] == "/b.pem"


def test_a_step_is_done_again_when_a_file_or_its_name_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "ROOT", tmp_path)
    lock, stamp = tmp_path / "a.txt", tmp_path / "stamp"
    lock.write_text("one==1")
    assert not prepare.is_made(stamp, prepare.checksum([lock]))
    stamp.write_text(prepare.checksum([lock]))
    assert prepare.is_made(stamp, prepare.checksum([lock]))
    lock.write_text("one==2")
    assert not prepare.is_made(stamp, prepare.checksum([lock]))
    lock.rename(tmp_path / "b.txt").write_text("one==1")
    assert not prepare.is_made(stamp, prepare.checksum([tmp_path / "b.txt"]))


def test_a_failed_step_shows_what_the_program_said(capsys: pytest.CaptureFixture[str]) -> None:
    progress = prepare.Progress()
    with pytest.raises(prepare.StepFailed, match="no such mirror"):
        progress.run(
            "Tải", "fetching", [["sh", "-c", "echo no such mirror; exit 3"]], {"PATH": "/usr/bin:/bin"}
        )
    prepare.explain(prepare.StepFailed("The virtual environment … ensurepip is not available"))
    assert "apt install python3-venv" in capsys.readouterr().err
