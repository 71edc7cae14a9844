"""Named queries: SQL in files, loaded once, one typed function per query in a room's `store.py`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiosql
from aiosql.adapters.asyncpg import AsyncPGAdapter


class _Adapter(AsyncPGAdapter):
    """aiosql's adapter without its question, at every call, whether the connection is a pool.

    It asks with `dir(connection)`: 30 µs of each query, on a connection out of a pool.
    """

    def _ordered(self, query_name: str, parameters: Any) -> Any:
        return self.maybe_order_params(query_name, parameters)  # type: ignore[no-untyped-call]

    async def select(
        self, conn: Any, query_name: str, sql: str, parameters: Any, _record_class: Any = None
    ) -> AsyncIterator[Any]:
        for row in await conn.fetch(sql, *self._ordered(query_name, parameters)):
            yield row

    async def select_one(
        self, conn: Any, query_name: str, sql: str, parameters: Any, _record_class: Any = None
    ) -> Any:
        return await conn.fetchrow(sql, *self._ordered(query_name, parameters))

    async def select_value(self, conn: Any, query_name: str, sql: str, parameters: Any) -> Any:
        return await conn.fetchval(sql, *self._ordered(query_name, parameters))

    async def insert_update_delete(self, conn: Any, query_name: str, sql: str, parameters: Any) -> Any:
        return await conn.execute(sql, *self._ordered(query_name, parameters))


def load_queries(folder: Path) -> Any:
    """Load every `*.sql` file of a room's `sql/` folder; each query becomes a coroutine method.

    Every query names its parameters: `-- name: latest_reading(entity_id, attribute)`. The
    result has no static type: a room's `store.py` turns rows into structs, and nothing else
    touches it. `getattr(queries, name).sql` is the text that a test PREPAREs.
    """
    return aiosql.from_path(folder, cast("Any", _Adapter))
