"""Named queries: SQL in files, loaded once, one typed function per query in a room's `store.py`."""

from pathlib import Path
from typing import Any

import aiosql


def load_queries(folder: Path) -> Any:
    """Load every `*.sql` file of a room's `sql/` folder; each query becomes a coroutine method.

    Every query names its parameters: `-- name: latest_reading(entity_id, attribute)`. The
    result has no static type: a room's `store.py` turns rows into structs, and nothing else
    touches it. `getattr(queries, name).sql` is the text that a test PREPAREs.
    """
    return aiosql.from_path(folder, "asyncpg")
