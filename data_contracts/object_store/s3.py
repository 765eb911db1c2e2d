"""S3 file system whose retries never repeat a conditional request, and whose refusals carry their reason."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import s3fs
from fsspec.asyn import sync_wrapper

from data_contracts.object_store.error_translation import error_code, is_transient

T = TypeVar("T")

_MAX_TRIES = 3
# Half of the largest single put. In parts, an upload whose last answer is lost looks like one that failed.
_SINGLE_PUT_BYTES = 5 * 2**29


class S3(s3fs.S3FileSystem):  # type: ignore[misc]
    """Try a request three times, but one with a condition once: a second try would find what the first had done.

    `RetryPolicy` does the rest. s3fs would try five times, botocore in each of them five times more.
    """

    retries = 1

    async def _call_s3(self, method: str, *more: Any, **kwargs: Any) -> Any:
        call = partial(super()._call_s3, method, *more, **kwargs)
        try:
            return await (call() if {"IfNoneMatch", "IfMatch"} & kwargs.keys() else _retry(call))
        except OSError as error:
            if method.startswith("head_") and error_code(error) in {"400", "403"}:
                # No body, no reason: expired credentials look like a missing permission. A listing's error says which.
                await super()._call_s3("list_objects_v2", Bucket=kwargs["Bucket"], MaxKeys=1)
            raise

    call_s3 = sync_wrapper(_call_s3)

    async def _content(self, path: str, start: int | None = None, end: int | None = None) -> tuple[bytes, str]:
        """Return an object's bytes, or those from `start` to before `end`, with the etag of their content."""
        bucket, key, _ = self.split_path(path)
        ranged = {} if start is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}

        async def get() -> tuple[bytes, str]:
            answer = await super(S3, self)._call_s3("get_object", Bucket=bucket, Key=key, **ranged)
            try:
                return await answer["Body"].read(), str(answer["ETag"]).strip('"')
            finally:
                answer["Body"].close()

        return await _retry(get)

    content = sync_wrapper(_content)

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **more: Any) -> bytes:
        if start is not None or end is not None or more:
            return bytes(await super()._cat_file(path, start=start, end=end, **more))
        return (await self._content(path))[0]

    async def _pipe_file(self, path: str, data: bytes, chunksize: int = _SINGLE_PUT_BYTES, **more: Any) -> Any:
        return await super()._pipe_file(path, data, chunksize=chunksize, **more)


async def _retry(call: Callable[[], Awaitable[T]]) -> T:
    for attempt in range(1, _MAX_TRIES):
        try:
            return await call()
        except Exception as error:
            if not is_transient(error):
                raise
        await asyncio.sleep(random.uniform(0.05, 0.2) * attempt)
    return await call()
