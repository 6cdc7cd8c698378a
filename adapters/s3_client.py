"""One aioboto3 client per process, loaded beside the start-up, and what its errors mean to us.

Used by `adapters/r2_object_store.py` alone.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from adapters.metrics import OBJECT_STORE_FAILURES, object_store_call
from adapters.settings import Settings
from adapters.tasks import ended
from adapters.telemetry import get_logger
from adapters.tracing import span
from application.ports import ObjectChanged
from domain.errors import ObjectStoreUnavailable

CONNECT_SECONDS = 3
READ_SECONDS = 15
"""Between two bytes of an answer. A copy inside the store sends none until it is done."""
ATTEMPTS = 3
CONNECTIONS = 50
"""As many completes at once; botocore's own 10 would make the rest wait for each other."""
R2_DOMAIN = ".r2.cloudflarestorage.com"
CONDITION_FAILED = {409, 412}
"""412 Precondition Failed; S3 says 409 Conflict when another conditional write is under way."""
ABSENT = {"NoSuchKey", "NotFound", "404"}


class ObjectAbsent(Exception):
    """The store answers that there is no such object."""


class S3Client:
    """The client, awaited by the first call that needs it: signing needs none."""

    def __init__(self, loading: asyncio.Task[Any], *, endpoint: str) -> None:
        self._loading = loading
        self._endpoint = endpoint

    async def call(self, operation: str, **parameters: Any) -> Any:
        """One S3 operation, by its name in botocore, after at most ATTEMPTS.

        Raises ObjectAbsent, ObjectChanged or ObjectStoreUnavailable.
        """
        bucket = parameters.get("Bucket", "")
        with (
            span(f"s3.{operation}", kind="client", bucket=bucket),
            object_store_call(operation),
            self.errors(operation, bucket),
        ):
            # Shielded: a caller that gives up must not take the client from the others.
            client = await asyncio.shield(self._loading)
            return await getattr(client, operation)(**parameters)

    @contextmanager
    def errors(self, operation: str, bucket: str) -> Iterator[None]:
        """Translate what aioboto3 raises; the cause is logged, never exposed."""
        try:
            yield
        except (ObjectAbsent, ObjectChanged, ObjectStoreUnavailable):
            raise
        except Exception as error:
            status, code = _answer_of(error)
            if code in ABSENT:
                raise ObjectAbsent from error
            if status in CONDITION_FAILED:
                raise ObjectChanged from error
            if not _is_of_the_store(error):
                raise
            OBJECT_STORE_FAILURES.labels(operation).inc()
            get_logger().warning(
                "media.object_store.unavailable",
                operation=operation,
                bucket=bucket,
                endpoint=self._endpoint,
                status=status,
                reason=code or type(error).__name__,
                error=str(error),
            )
            raise ObjectStoreUnavailable("The object store does not answer.") from error


@asynccontextmanager
async def open_s3_client(settings: Settings) -> AsyncIterator[S3Client]:
    """Begin to load the client, which costs 0.4 to 1.1 s of CPU, and close it at the end."""
    async with AsyncExitStack() as stack:
        loading = asyncio.create_task(_load(settings, stack))
        try:
            yield S3Client(loading, endpoint=settings.s3_endpoint)
        finally:
            await ended(loading)


async def _load(settings: Settings, stack: AsyncExitStack) -> Any:
    session, config = await asyncio.to_thread(_prepare)
    client = await stack.enter_async_context(
        session.client(
            "s3",
            endpoint_url=settings.s3_endpoint,
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key,
            aws_secret_access_key=settings.s3_secret_key,
            config=config,
        )
    )
    # Every copy goes where nothing may stand yet. R2 has a header of its own for that.
    is_r2 = (urlsplit(settings.s3_endpoint).hostname or "").endswith(R2_DOMAIN)
    name = "cf-copy-destination-if-none-match" if is_r2 else "if-none-match"

    def where_nothing_stands(params: dict[str, Any], **_: object) -> None:
        params["headers"][name] = "*"

    client.meta.events.register("before-call.s3.CopyObject", where_nothing_stands)
    return client


def _prepare() -> tuple[Any, Any]:
    """What takes long, in a thread: the imports, and the JSON models a client is built from."""
    # Here, since they take 0.4 s that a process need not wait for.
    import aioboto3  # type: ignore[import-untyped]  # noqa: PLC0415
    from aiobotocore.config import AioConfig  # type: ignore[import-untyped]  # noqa: PLC0415
    from aiobotocore.session import AioSession  # type: ignore[import-untyped]  # noqa: PLC0415

    session = AioSession()
    # Not of the machine: a profile or proxy of whoever starts us must not change where bytes go.
    session.set_config_variable("config_file", "/dev/null")
    session.set_config_variable("credentials_file", "/dev/null")
    session.set_config_variable("profile", None)
    loader = session.get_component("data_loader")
    for model in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("s3", model)
    loader.load_data("partitions")
    loader.load_data_with_path("endpoints")
    config = AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        # R2 knows no checksum trailers, which newer SDKs send unasked.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=CONNECTIONS,
        proxies={},
    )
    return aioboto3.Session(botocore_session=session), config


def _answer_of(error: Exception) -> tuple[int, str]:
    """Status and code of an S3 error answer; 0 when there was no answer."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return 0, ""
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return int(status), str(response.get("Error", {}).get("Code", ""))


def _is_of_the_store(error: Exception) -> bool:
    """Whether it is an answer, a broken connection or a wrong setting; not a bug of ours."""
    from botocore import exceptions, parsers  # type: ignore[import-untyped]  # noqa: PLC0415

    vendor = (exceptions.BotoCoreError, exceptions.ClientError, parsers.ResponseParserError)
    # ValueError: what botocore makes of an endpoint that is no URL.
    return isinstance(error, (*vendor, aiohttp.ClientError, OSError, ValueError))
