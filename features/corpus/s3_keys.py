"""S3 as it names things: a key is a string of bytes, and no part of it means more than itself."""

import datetime as dt
from email.utils import parsedate_to_datetime
from typing import Any

from aiobotocore.session import AioSession  # type: ignore[import-untyped]
from botocore.utils import parse_timestamp

from data_contracts.object_store.s3 import S3


class S3Keys(S3):
    """s3fs takes `?versionId=` at a key's end for a version, and read another object (or none) than was listed."""

    def split_path(self, path: str) -> tuple[str, str, None]:
        """Bucket, key, and no version."""
        slashes = path[len(path.rstrip("/")) :]
        bare = self._strip_protocol(path).lstrip("/")
        if "/" not in bare:
            return bare, "", None
        bucket, key = self._find_bucket_key(bare)
        return bucket, key + slashes, None

    async def set_session(self, refresh: bool = False, kwargs: dict[str, Any] | None = None) -> Any:
        """With `parse_time`: of what a listed object costs, reading its time as botocore does was four fifths."""
        if getattr(self, "session", None) is None:
            session = AioSession(**self.kwargs)
            session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_time)
            self.session, self._session_is_owned = session, True
        return await super().set_session(refresh, kwargs or {})


def parse_time(stamp: Any) -> dt.datetime:
    """A time as S3 writes it, in a listing or in a header; in any other form as botocore reads it.

    >>> parse_time("2026-11-21T10:00:11.000Z").isoformat()
    '2026-11-21T10:00:11+00:00'
    >>> parse_time("Sat, 21 Nov 2026 10:00:11 GMT").isoformat()
    '2026-11-21T10:00:11+00:00'
    """
    if isinstance(stamp, str):
        try:
            if stamp.endswith("Z"):
                return dt.datetime.fromisoformat(stamp)
            if stamp.endswith(" GMT"):
                return parsedate_to_datetime(stamp)
        except ValueError:
            pass
    return parse_timestamp(stamp)  # type: ignore[no-any-return]
