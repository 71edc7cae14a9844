"""The command line: every command declares its audience, speaks Vietnamese first, fails in one sentence."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import click
import pytest
from click.testing import CliRunner
from tests.infra.processes import finished

from haidang.cli import MustBeConfirmed, commands_page, haidang, walk_commands
from haidang.infra.consumers import ConsumerUnknown
from haidang.infra.tokens import TokenUnknown
from haidang.infra.translations import Translations
from haidang.kernel.actors import Audience

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
COMMANDS = dict(walk_commands(haidang))


def run(*words: str, **settings: str) -> tuple[int, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HAIDANG_")}
    own = {f"HAIDANG_{name.upper()}": value for name, value in settings.items()}
    return finished(sys.executable, "-m", "haidang", *words, env=kept | own)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_declares_whom_it_is_for(name: str) -> None:
    assert isinstance(getattr(COMMANDS[name], "audience", None), Audience)


def test_the_walk_finds_the_commands_that_people_type() -> None:
    assert {"haidang up", "haidang backup", "haidang restore", "haidang token issue"} <= COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_described_in_vietnamese(name: str) -> None:
    translations = Translations.load()
    command = COMMANDS[name]
    texts = [command.help] + [one.help for one in command.params if isinstance(one, click.Option)]
    for text in texts:
        assert text, name
        if text != "Show the version and exit.":  # click's own
            assert translations.has("vi", text), text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_shown_for_every_command(name: str) -> None:
    shown = CliRunner().invoke(haidang, [*name.split()[1:], "--help"])
    assert shown.exit_code == 0, shown.output
    assert "Usage: " in shown.output


def test_help_speaks_the_chosen_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIDANG_DEFAULT_LOCALE", "vi")
    assert "Chạy cả nền tảng" in CliRunner().invoke(haidang, ["--help"]).output
    monkeypatch.setenv("HAIDANG_DEFAULT_LOCALE", "en")
    assert "Run the whole platform" in CliRunner().invoke(haidang, ["--help"]).output


def test_the_language_is_a_setting_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "haidang.toml"
    file.write_text('default_locale = "en"\n')
    assert "Run the whole platform" in run("--help", config=str(file))[1]
    assert "Chạy cả nền tảng" in run("--help", config=str(file), default_locale="vi")[1]
    file.write_text('default_locale = "en"\nport = \n')
    status, said = run("settings", config=str(file))
    assert (status, said.count("\n")) == (2, 1)
    assert "Traceback" not in said
    assert str(file) in said
    status, said = run("settings", config=str(file), default_locale="en")
    assert "cannot be read" in said


def test_trouble_is_one_sentence_and_an_exit_status() -> None:
    status, said = run("up", host="0.0.0.0", default_locale="vi")  # noqa: S104  (must be refused)
    assert status == 1
    assert said.count("\n") == 1
    assert "0.0.0.0" in said  # noqa: S104  (must be refused)
    assert "Traceback" not in said
    status, said = run("up", port="eight", default_locale="en")
    assert status == 2
    assert "port" in said
    status, said = run("token", "list", database_url="postgresql://nobody@127.0.0.1:1/x", default_locale="en")
    assert status == 75
    assert said == "The database does not answer right now; nothing was written.\n"


def test_a_part_without_a_database_says_what_to_do(tmp_path: Path) -> None:
    status, said = run("web", home=str(tmp_path / "none"), default_locale="en")
    assert status == 75
    assert "haidang up" in said
    assert "DATABASE_URL" in said


def test_a_home_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    status, said = run("up", home=str(tmp_path / "file" / "home"), port="0", default_locale="en")
    assert status == 1
    assert str(tmp_path / "file" / "home") in said
    assert "Traceback" not in said


def test_lists_have_titles_and_columns(dsn: str) -> None:
    def ask(*words: str) -> str:
        own = {"DATABASE_URL": dsn, "HAIDANG_DEFAULT_LOCALE": "vi"}
        answered = CliRunner().invoke(haidang, words, env=own, catch_exceptions=False)
        assert answered.exit_code == 0, answered.output
        return answered.output

    assert ask("token", "list") == "Không có gì.\n"
    assert ask("token", "issue", "tram-1", "--days", "3").startswith("hd_")
    titles, row = ask("token", "list").splitlines()
    assert titles.split()[0] == "Mã"
    assert row.index("tram-1") == titles.index("Tên")
    ask("token", "revoke", row.split()[0])
    with pytest.raises(TokenUnknown):
        ask("token", "revoke", "0" * 12)
    ask("province", "set", "name", "Gia Lai")
    assert '"Gia Lai"' in ask("province", "show")
    ask("province", "reset", "name")
    assert '"Gia Lai"  null' in ask("province", "history")
    for words in (("events", "status"), ("events", "dead"), ("jobs", "status"), ("jobs", "dead")):
        assert ask(*words)


def test_a_consumer_is_rewound_and_forgotten_only_when_that_is_confirmed(dsn: str) -> None:
    own = {"DATABASE_URL": dsn, "HAIDANG_DEFAULT_LOCALE": "en"}

    def ask(*words: str) -> str:
        answered = CliRunner().invoke(haidang, ["events", *words], env=own, catch_exceptions=False)
        assert answered.exit_code == 0, answered.output
        return answered.output

    async def consumers(*statements: str) -> list[tuple[str, int]]:
        connection = await asyncpg.connect(dsn)
        for statement in statements:
            await connection.execute(statement)
        found = await connection.fetch("SELECT consumer, position FROM infra.event_consumer")
        await connection.close()
        return [(row["consumer"], row["position"]) for row in found]

    ask("status")
    asyncio.run(
        consumers(
            """INSERT INTO infra.event_consumer (consumer, listens_to, position, advanced_at)
               VALUES ('test.old', '{}', 0, now())"""
        )
    )
    ask("hold", "test.old", "--why", "a test")
    with pytest.raises(MustBeConfirmed):
        ask("rewind", "test.old", "0")
    assert "stands at 0" in ask("rewind", "test.old", "0", "--yes")
    with pytest.raises(MustBeConfirmed):
        ask("forget", "test.old")
    assert asyncio.run(consumers()) == [("test.old", 0)]
    assert "test.old" in ask("forget", "test.old", "--yes")
    assert asyncio.run(consumers()) == []
    with pytest.raises(ConsumerUnknown):
        ask("forget", "test.old", "--yes")


def test_the_reference_page_is_what_the_code_says() -> None:
    """Write it anew with `haidang commands > docs/reference/commands.md`."""
    assert PAGE.read_text(encoding="utf-8") == commands_page()
