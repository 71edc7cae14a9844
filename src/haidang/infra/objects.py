"""Object files: photographs, papers and results, each under the checksum of its content.

They live in a local folder or in an S3 bucket (`objects_url`). What was put is whole and on
the disk before `put` returns, or it is not there at all; what is read is compared with its
name, so that silent damage is an error and not a wrong picture. A file is never changed.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from haidang.infra.intake import content_id
from haidang.kernel.actors import Actor
from haidang.kernel.errors import HaidangError, Invalid, NotFound, Unavailable
from haidang.kernel.instants import Instant

if TYPE_CHECKING:  # the library has this name for checkers only
    from obstore.store import S3Config


class ObjectNotFound(NotFound):
    """There is no file {content_id}."""


class ObjectDamaged(HaidangError):
    """The file {content_id} is damaged: its content does not match its name."""


class ObjectsUnavailable(Unavailable):
    """The store of object files does not answer right now; nothing was kept."""


class ObjectIdMalformed(Invalid):
    """{content_id} is not the id of a file."""


class TenantUnusable(Invalid):
    """The tenant {tenant} cannot name a folder."""


_CONTENT_ID = re.compile(r"sha256-[0-9a-f]{64}")
_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_INCOMING = ".incoming"
_LEFT_BEHIND_S = 86_400
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A file in the store, as a backup or a check sees it."""

    tenant: str
    content_id: str
    size: int
    modified_at: Instant


class _Shelf(Protocol):
    """Where files stand: durable when `put` returns."""

    @property
    def store(self) -> LocalStore | S3Store: ...

    async def put(self, key: str, content: bytes) -> None: ...

    async def put_file(self, key: str, path: Path) -> None: ...

    def standing(self, key: str) -> Path | None: ...

    async def deleted(self, key: str) -> None: ...


class ObjectFiles:
    """The store. Every verb works within the actor's tenant; who may see a file is its room's question."""

    def __init__(self, shelf: _Shelf) -> None:
        self._shelf = shelf
        self._store = shelf.store

    async def put(self, actor: Actor, content: bytes) -> str:
        """Keep a file and return its content id; equal files are kept once. Durable on return."""
        name = await asyncio.to_thread(content_id, content)
        with _trouble(name):
            await self._shelf.put(_key(actor.tenant, name), content)
        return name

    async def put_file(self, actor: Actor, path: Path) -> str:
        """Keep a file that is too large for the memory, as `put` does."""
        name = await asyncio.to_thread(_content_id_of, path)
        with _trouble(name):
            await self._shelf.put_file(_key(actor.tenant, name), path)
        return name

    @contextlib.asynccontextmanager
    async def as_file(self, actor: Actor, name: str) -> AsyncIterator[Path]:
        """The file at a path, for a reader that needs one; not to be changed. Raises ObjectNotFound."""
        with _trouble(name):
            standing = self._shelf.standing(_key(actor.tenant, name))
        if standing is not None:
            yield standing
            return
        with tempfile.TemporaryDirectory(prefix="haidang-") as folder:
            path = Path(folder) / name
            with path.open("wb") as file:
                async for piece in self.stream(actor, name):
                    await asyncio.to_thread(file.write, piece)
            yield path

    async def get(self, actor: Actor, name: str) -> bytes:
        """The whole file, compared with its name; raises ObjectNotFound, ObjectDamaged."""
        with _trouble(name):
            found = await obstore.get_async(self._store, _key(actor.tenant, name))
            content = bytes(await found.bytes_async())
        if await asyncio.to_thread(content_id, content) != name:
            raise ObjectDamaged(content_id=name)
        return content

    async def stream(self, actor: Actor, name: str) -> AsyncIterator[bytes]:
        """The file in parts; damage is raised before the last part is given."""
        digest = hashlib.sha256()
        before = b""
        with _trouble(name):
            found = await obstore.get_async(self._store, _key(actor.tenant, name))
            async for part in found.stream(min_chunk_size=_CHUNK):
                if before:
                    yield before
                before = bytes(part)
                digest.update(before)
        if f"sha256-{digest.hexdigest()}" != name:
            raise ObjectDamaged(content_id=name)
        yield before

    async def has(self, actor: Actor, name: str) -> bool:
        """Whether there is such a file."""
        try:
            with _trouble(name):
                await obstore.head_async(self._store, _key(actor.tenant, name))
        except ObjectNotFound:
            return False
        return True

    async def delete(self, actor: Actor, name: str) -> None:
        """Remove a file, for good; that it is not there already is no trouble."""
        key = _key(actor.tenant, name)
        with contextlib.suppress(ObjectNotFound), _trouble(name):
            await obstore.delete_async(self._store, key)
        with _trouble(name):
            await self._shelf.deleted(key)

    async def verify(self, actor: Actor, name: str) -> bool:
        """Whether the file is there and whole, read in parts."""
        try:
            async for _ in self.stream(actor, name):
                pass
        except (ObjectNotFound, ObjectDamaged):
            return False
        return True

    async def each(self, actor: Actor) -> AsyncIterator[StoredObject]:
        """Every file of every tenant, for a backup or a check; what is still arriving is not among them.

        A backup reads one as `get(part("backup", tenant=stored.tenant), stored.content_id)`.
        """
        del actor  # a part of the platform: every verb takes its actor
        with _trouble(""):
            async for batch in obstore.list(self._store):
                for meta in batch:
                    tenant, _, rest = meta["path"].partition("/")
                    name = rest.rpartition("/")[2]
                    if _CONTENT_ID.fullmatch(name) and meta["path"] == _key(tenant, name):
                        yield StoredObject(tenant, name, meta["size"], meta["last_modified"])

    async def reachable(self) -> None:
        """Raise ObjectsUnavailable when the store does not answer: for `/readyz`."""
        with contextlib.suppress(ObjectNotFound), _trouble(""):
            await obstore.head_async(self._store, "reachable")


class _Folder:
    """A local folder. The library renames but does not sync, so writing is ours."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        incoming = folder / _INCOMING
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        incoming.mkdir(mode=0o700, exist_ok=True)
        for left in incoming.iterdir():  # by a process that was killed while it wrote
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _LEFT_BEHIND_S:
                    left.unlink()
        self.store = LocalStore(folder)

    async def put(self, key: str, content: bytes) -> None:
        await asyncio.to_thread(self._put, key, content)

    async def put_file(self, key: str, path: Path) -> None:
        await asyncio.to_thread(self._put_file, key, path)

    def standing(self, key: str) -> Path | None:
        path = self._folder / key
        if not path.is_file():
            raise FileNotFoundError(key)
        return path

    async def deleted(self, key: str) -> None:
        await asyncio.to_thread(_sync_folder, (self._folder / key).parent)

    def _put(self, key: str, content: bytes) -> None:
        path = self._folder / key
        if not (path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content):
            self._place(path, lambda file: file.write(content))
        self._sync(path)

    def _put_file(self, key: str, source: Path) -> None:
        path = self._folder / key
        with source.open("rb") as opened:
            # The name is the checksum: what stands there whole is the same.
            if not path.is_file() or _content_id_of(path) != path.name:
                self._place(path, lambda file: shutil.copyfileobj(opened, file, _CHUNK))
        self._sync(path)

    def _place(self, path: Path, write: Callable[[BinaryIO], object]) -> None:
        written = self._folder / _INCOMING / uuid4().hex
        try:
            with written.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            for folder in (path.parents[2], path.parents[1], path.parent):  # tenant, ab, cd
                folder.mkdir(mode=0o700, exist_ok=True)
            written.rename(path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise

    def _sync(self, path: Path) -> None:
        # The names on the way are synced too, also where another process has just made them.
        for folder in (path.parent, *path.parent.parents):
            _sync_folder(folder)
            if folder == self._folder:
                break


def _content_id_of(path: Path) -> str:
    """The id of a file's content, read in parts."""
    with path.open("rb") as file:
        return f"sha256-{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _sync_folder(folder: Path) -> None:
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class _Bucket:
    """A bucket of any S3-compatible server: a finished PUT is atomic and durable by its contract."""

    def __init__(self, store: S3Store) -> None:
        self.store = store

    async def put(self, key: str, content: bytes) -> None:
        await obstore.put_async(self.store, key, content)

    async def put_file(self, key: str, path: Path) -> None:
        await obstore.put_async(self.store, key, path)

    def standing(self, key: str) -> Path | None:
        del key  # nothing of a bucket stands on this machine
        return None

    async def deleted(self, key: str) -> None:
        """Nothing is left to do."""


def open_objects(location: str, environ: Mapping[str, str]) -> ObjectFiles:
    """Open the store at `file:///folder` or `s3://bucket/prefix`.

    A bucket's server and keys come from the usual variables (`AWS_ENDPOINT_URL`, `AWS_REGION`,
    `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`); http is allowed where the endpoint says so.
    Raises ObjectsUnavailable when the folder cannot be used.
    """
    place = urlsplit(location)
    if place.scheme == "file":
        with _trouble(""):
            return ObjectFiles(_Folder(Path(unquote(place.path))))
    return ObjectFiles(_Bucket(_s3(place.netloc, place.path.strip("/"), environ)))


def _s3(bucket: str, prefix: str, environ: Mapping[str, str]) -> S3Store:
    config: S3Config = {
        "region": environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    }
    endpoint = environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        config["endpoint"] = endpoint
    if environ.get("AWS_ACCESS_KEY_ID"):
        config["access_key_id"] = environ["AWS_ACCESS_KEY_ID"]
        config["secret_access_key"] = environ.get("AWS_SECRET_ACCESS_KEY", "")
    if environ.get("AWS_SESSION_TOKEN"):
        config["session_token"] = environ["AWS_SESSION_TOKEN"]
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options={
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(seconds=60),
        },
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=10)},
    )


def _key(tenant: str, name: str) -> str:
    """`<tenant>/ab/cd/sha256-abcd…`: no folder grows without end."""
    if not _TENANT.fullmatch(tenant):
        raise TenantUnusable(tenant=tenant)
    if not _CONTENT_ID.fullmatch(name):
        raise ObjectIdMalformed(content_id=name[:100])
    digits = name.removeprefix("sha256-")
    return f"{tenant}/{digits[:2]}/{digits[2:4]}/{name}"


@contextlib.contextmanager
def _trouble(name: str) -> Iterator[None]:
    """The library's errors as ours."""
    try:
        yield
    except FileNotFoundError:
        raise ObjectNotFound(content_id=name) from None
    except (BaseError, OSError) as trouble:
        raise ObjectsUnavailable from trouble
