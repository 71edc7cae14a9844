"""Object files: whole and durable or not there; compared with their name when read."""

import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.edges.s3_server import S3Server

from haidang.infra.intake import content_id
from haidang.infra.objects import (
    ObjectDamaged,
    ObjectFiles,
    ObjectIdMalformed,
    ObjectNotFound,
    ObjectsUnavailable,
    TenantUnusable,
    open_objects,
)
from haidang.kernel.actors import Actor, part

CLERK = part("clerk")
OTHER = part("clerk", tenant="other")
NOTHING = content_id(b"never put")


class Place:
    """A store and a way to damage what it holds."""

    def __init__(self, files: ObjectFiles, held: Any) -> None:
        self.files = files
        self._held = held

    def damage(self, name: str, content: bytes) -> None:
        """Put other content in place of a file's own."""
        if isinstance(self._held, S3Server):
            (key,) = [key for key in self._held.objects if key.endswith(name)]
            self._held.objects[key] = content
        else:
            (path,) = self._held.rglob(name)
            path.write_bytes(content)


@pytest.fixture(params=["folder", "s3"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """The same promises on a folder and on a bucket."""
    if request.param == "folder":
        folder = tmp_path / "tệp tin"
        yield Place(open_objects(folder.as_uri(), {}), folder)
    else:
        async with S3Server() as server:
            yield Place(open_objects("s3://haidang/kept/here", server.environ), server)


@pytest.fixture
def files(place: Place) -> ObjectFiles:
    return place.files


async def test_what_was_put_is_got(files: ObjectFiles) -> None:
    for content in (b"a photograph", b"", os.urandom(1_000_000)):
        name = await files.put(CLERK, content)
        assert name == content_id(content)
        assert await files.get(CLERK, name) == content
        assert b"".join([chunk async for chunk in files.stream(CLERK, name)]) == content
        assert await files.has(CLERK, name)
        assert await files.verify(CLERK, name)


async def test_equal_files_are_kept_once(files: ObjectFiles) -> None:
    names = await asyncio.gather(*(files.put(CLERK, b"the same") for _ in range(10)))
    assert len(set(names)) == 1
    assert [stored.content_id async for stored in files.each(CLERK)] == names[:1]


async def test_a_tenants_files_are_its_own(files: ObjectFiles) -> None:
    name = await files.put(CLERK, b"ours")
    with pytest.raises(ObjectNotFound):
        await files.get(OTHER, name)
    await files.put(OTHER, b"ours")
    await files.delete(CLERK, name)
    assert await files.get(OTHER, name) == b"ours"


async def test_what_was_deleted_is_gone(files: ObjectFiles) -> None:
    name = await files.put(CLERK, b"x")
    await files.delete(CLERK, name)
    await files.delete(CLERK, name)
    assert not await files.has(CLERK, name)
    assert not await files.verify(CLERK, name)
    with pytest.raises(ObjectNotFound):
        await files.get(CLERK, name)
    with pytest.raises(ObjectNotFound):
        [chunk async for chunk in files.stream(CLERK, NOTHING)]


@pytest.mark.parametrize("damaged", [b"", b"y", b"y" * 1_000_000])
async def test_damage_is_an_error_and_not_a_wrong_file(place: Place, damaged: bytes) -> None:
    whole = b"x" * 1_000_000
    name = await place.files.put(CLERK, whole)
    place.damage(name, damaged)
    with pytest.raises(ObjectDamaged):
        await place.files.get(CLERK, name)
    given: list[bytes] = []

    async def read() -> None:
        async for chunk in place.files.stream(CLERK, name):
            given.append(chunk)  # noqa: PERF401 - what came before the error is kept

    with pytest.raises(ObjectDamaged):
        await read()
    assert len(b"".join(given)) < len(damaged) or not damaged
    assert not await place.files.verify(CLERK, name)
    await place.files.put(CLERK, whole)  # and putting it again mends it
    assert await place.files.get(CLERK, name) == whole


async def test_a_backup_finds_every_file(files: ObjectFiles) -> None:
    put = {("default", await files.put(CLERK, f"{n}".encode())) for n in range(5)}
    put.add(("other", await files.put(OTHER, b"theirs")))
    found = [stored async for stored in files.each(part("backup"))]
    assert {(stored.tenant, stored.content_id) for stored in found} == put
    assert all(stored.modified_at.tzinfo is not None for stored in found)
    assert {stored.size for stored in found} == {1, 6}
    first = found[0]
    await files.get(part("backup", tenant=first.tenant), first.content_id)


@pytest.mark.parametrize("name", ["", "../x", "sha256-" + "A" * 64, "sha256-" + "a" * 63, "a/b"])
async def test_only_ids_name_files(files: ObjectFiles, name: str) -> None:
    with pytest.raises(ObjectIdMalformed):
        await files.get(CLERK, name)


@pytest.mark.parametrize("tenant", ["", "..", "a/b", ".incoming", "Ạ"])
async def test_a_tenant_cannot_lead_elsewhere(files: ObjectFiles, tenant: str) -> None:
    with pytest.raises(TenantUnusable):
        await files.put(Actor("urn:x:y", frozenset(), tenant), b"x")


async def test_a_store_that_answers_is_reachable(files: ObjectFiles) -> None:
    await files.reachable()


# --- a folder ---


async def test_nothing_is_acknowledged_before_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = open_objects(tmp_path.as_uri(), {})
    synced: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def recording_fsync(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink().relative_to(tmp_path)))
        fsync(fd)

    def recording_rename(path: Path, target: Path) -> Path:
        synced.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "rename", recording_rename)
    name = await files.put(CLERK, b"x")
    digits = name.removeprefix("sha256-")
    assert synced[0].startswith(".incoming/")
    assert synced[1:] == [
        "rename",
        f"default/{digits[:2]}/{digits[2:4]}",
        f"default/{digits[:2]}",
        "default",
        ".",
    ]
    synced.clear()
    await files.delete(CLERK, name)
    assert synced == [f"default/{digits[:2]}/{digits[2:4]}"]


_PUTTING = """
import asyncio, os, pathlib, sys
from haidang.infra.objects import open_objects
from haidang.kernel.actors import part

async def main():
    files = open_objects(pathlib.Path(sys.argv[1]).as_uri(), {})
    while True:
        print(await files.put(part("clerk"), os.urandom(300_000)), flush=True)

asyncio.run(main())
"""


async def test_a_writer_that_is_killed_leaves_whole_files_only(tmp_path: Path) -> None:
    acknowledged = kill_writers(tmp_path)
    files = open_objects(tmp_path.as_uri(), {})
    found = [stored.content_id async for stored in files.each(CLERK)]
    assert len(acknowledged) >= 3
    assert set(acknowledged) <= set(found)
    for name in found:
        assert await files.verify(CLERK, name)


def kill_writers(folder: Path) -> list[str]:
    """Kill three writers one after another; what they had acknowledged."""
    acknowledged: list[str] = []
    for wait_s in (0.02, 0.05, 0.09):
        child = subprocess.Popen(
            [sys.executable, "-c", _PUTTING, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        acknowledged.append(child.stdout.readline().strip())
        time.sleep(wait_s)
        child.kill()
        acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
        child.stdout.close()
        child.wait()
    return acknowledged


async def test_what_a_killed_writer_left_behind_is_swept_away(tmp_path: Path) -> None:
    open_objects(tmp_path.as_uri(), {})
    old, new = tmp_path / ".incoming/old", tmp_path / ".incoming/new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    files = open_objects(tmp_path.as_uri(), {})
    assert not old.exists()
    assert new.exists()  # it may be another process's, still arriving
    assert [stored async for stored in files.each(CLERK)] == []


async def test_a_full_disk_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    files = open_objects(tmp_path.as_uri(), {})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(ObjectsUnavailable):
            await files.put(CLERK, b"x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files_in(tmp_path) == []


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ObjectsUnavailable):
        open_objects((tmp_path / "file" / "folder").as_uri(), {})


async def test_only_its_owner_reads_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "objects"
    files = open_objects(folder.as_uri(), {})
    await files.put(CLERK, b"x")
    for path in (folder / "default", folder / ".incoming"):
        assert path.stat().st_mode & 0o077 == 0


# --- a bucket ---


async def test_a_bucket_keeps_files_under_its_prefix() -> None:
    async with S3Server() as server:
        name = await open_objects("s3://haidang/kept/here", server.environ).put(CLERK, b"x")
        digits = name.removeprefix("sha256-")
        assert list(server.objects) == [f"kept/here/default/{digits[:2]}/{digits[2:4]}/{name}"]
        await open_objects("s3://haidang", server.environ).put(CLERK, b"x")
        assert f"default/{digits[:2]}/{digits[2:4]}/{name}" in server.objects


async def test_a_wrong_key_or_bucket_is_refused() -> None:
    async with S3Server() as server:
        wrong = {**server.environ, "AWS_SECRET_ACCESS_KEY": "wrong"}
        with pytest.raises(ObjectsUnavailable):
            await open_objects("s3://haidang", wrong).put(CLERK, b"x")
        assert server.objects == {}


async def test_a_bucket_in_trouble_is_asked_again_and_then_given_up() -> None:
    async with S3Server() as server:
        files = open_objects("s3://haidang", server.environ)
        server.fails_with = 503
        with pytest.raises(ObjectsUnavailable):
            await files.put(CLERK, b"x")
        assert len(server.requests) == 4
        server.fails_with = 403
        for attempt in (files.put(CLERK, b"x"), files.get(CLERK, NOTHING), files.reachable()):
            with pytest.raises(ObjectsUnavailable):
                await attempt


async def test_a_bucket_that_is_away_is_said() -> None:
    async with S3Server() as server:
        environ = server.environ
    with pytest.raises(ObjectsUnavailable):
        await open_objects("s3://haidang", environ).put(CLERK, b"x")
