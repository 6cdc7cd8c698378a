"""Bare Litestar routes that do the least: what a request costs before there is any service.

`python -m bench.http_floor PORT`, with the database's URL on stdin: a process of its own beside the
real one, on the same server with the same options. Started by `bench.http`.
"""

import sys

import msgspec
import uvicorn
import uvloop
from litestar import Litestar, Response, get, post
from litestar.datastructures import State
from litestar.params import FromQuery

from adapters.postgres import open_pool
from projections.file_list import FileListProjection
from projections.file_resource import FOUND_COLUMNS
from projections.reading import owned

POOL_SIZE = 10
"""As the service has by default."""
TABLE = """
CREATE TABLE IF NOT EXISTS floor (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner text NOT NULL, data jsonb NOT NULL
);
GRANT SELECT, INSERT ON floor TO media_api
"""

_encode = msgspec.json.Encoder().encode
_ROWS = owned(
    FileListProjection.name,
    "SELECT media_id, owner, service_code, file_name, file_size, mime_type, category, key,"
    f" is_public, uploaded_by, created_at, updated_at, {FOUND_COLUMNS}"
    " FROM file_list_v2 WHERE owner = c.owner AND deleted_at IS NULL"
    " ORDER BY created_at DESC, media_id DESC LIMIT 50",
)
_INSERT = "INSERT INTO floor (owner, data) VALUES (%s, %s) RETURNING id"


@get("/hello", sync_to_thread=False)
def hello() -> dict[str, str]:
    """Nothing."""
    return {"hello": "world"}


@get("/rows")
async def rows(state: State, owner: FromQuery[str]) -> Response[bytes]:
    """One SELECT of 50 rows under the row-level security of the file list."""
    async with state.pool.connection() as connection:
        cursor = await connection.execute(_ROWS, {"owner": owner}, binary=True)
        found = await cursor.fetchall()
    return Response(_encode(found), media_type="application/json")


@post("/insert")
async def insert(state: State, data: dict[str, str]) -> dict[str, int]:
    """One INSERT, durable when it is answered."""
    async with state.pool.connection() as connection:
        cursor = await connection.execute(_INSERT, ("t:search", _encode(data).decode()))
        row = await cursor.fetchone()
    return {"id": row[0]}


async def serve(port: int, database_url: str) -> None:
    """Until it is told to stop."""
    async with await open_pool(
        database_url, role="media_api", size=POOL_SIZE, application_name="media-floor"
    ) as pool:
        app = Litestar(
            [hello, rows, insert],
            openapi_config=None,
            logging_config=None,
            state=State({"pool": pool}, deep_copy=False),
        )
        config = uvicorn.Config(
            app,
            port=port,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.stdin.readline().strip()))
