"""Errors of s3fs, botocore, deltalake and Polars in our words: what passes, what credentials do not open, the rest."""

import contextlib
import errno
import re
from collections.abc import Iterator
from http.client import HTTPException

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from data_contracts.errors import CredentialsError, LakeError, TransientError, UndertoneError

BUSY = {"SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "TooManyRequests", "503", "429"}
_CONFLICT = {"OperationAborted", "ConditionalRequestConflict", "409"}
_INCOMPLETE_TRANSFER = {"RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "408"}
_TRANSIENT = BUSY | _CONFLICT | _INCOMPLETE_TRANSFER | {"InternalError", "500", "502", "504"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidToken", "TokenRefreshRequired"}
_UNKNOWN = {"InvalidAccessKeyId", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"}
_BAD_CREDENTIALS = _EXPIRED | _UNKNOWN | {"AuthFailure"}
_CLOCK = {"RequestTimeTooSkewed", "RequestInTheFuture"}
_NO_CREDENTIALS = (
    *(boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError),
    *(boto.TokenRetrievalError, boto.UnauthorizedSSOTokenError, boto.SSOTokenLoadError),
)
_NETWORK = (
    *(TimeoutError, ConnectionError, HTTPException, ResponseParserError),
    *(boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError),
)
_BUSY_ERRNO = {errno.EBUSY, getattr(errno, "EREMOTEIO", errno.EIO)}  # what s3fs makes of "slow down", "internal error"
_DISK_FULL_ERRNO = {errno.ENOSPC, errno.EDQUOT}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# deltalake and Polars tell all that a store said in the text of an OSError.
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"non-2xx status code\W+(\d{3})\b")
_NETWORK_TEXT = re.compile(r"HTTP error|error sending request|timed out|response body|connection (closed|reset)")


@contextlib.contextmanager
def translate_errors(doing: str, ours: type[UndertoneError] = LakeError) -> Iterator[None]:
    """A store's errors become TransientError, CredentialsError or `ours`; a FileNotFoundError passes as it is."""
    try:
        yield
    except (UndertoneError, FileNotFoundError):
        raise
    except Exception as error:
        told = _translate(doing, error, ours)
        if told is None:  # a bug of ours is no storage error
            raise
        raise told from error


def error_code(error: BaseException | None) -> str | None:
    """What the store called it: S3's word, or the HTTP status where the answer had no body (of a HEAD)."""
    while error is not None:
        if isinstance(error, boto.ClientError):
            return str(error.response.get("Error", {}).get("Code"))
        found = _CODE.search(text := _message(error)) or _STATUS.search(text)
        if found:
            return found[1]
        error = error.__cause__
    return None


def is_transient(error: BaseException) -> bool:
    """Whether trying again may mend it."""
    code = error_code(error)
    if code is not None:
        return code in _TRANSIENT
    if isinstance(error, _NETWORK) or type(error).__module__.startswith("aiohttp"):
        return True
    if not isinstance(error, OSError):
        return False
    return error.errno in _BUSY_ERRNO or (error.errno is None and bool(_NETWORK_TEXT.search(_message(error))))


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a disk (or a quota) is full."""
    return getattr(error, "errno", None) in _DISK_FULL_ERRNO or "No space left" in str(error)  # Delta gives no number


def _translate(doing: str, error: Exception, ours: type[UndertoneError]) -> UndertoneError | None:
    code, said = error_code(error), f"{doing}: {_message(error)}"
    if code in _CLOCK | _BAD_CREDENTIALS or isinstance(error, _NO_CREDENTIALS):
        expected = "a clock that agrees with the store's" if code in _CLOCK else "credentials that the store takes"
        mend = "set this machine's clock" if code in _CLOCK else "renew them (AWS_… or the profile)"
        return CredentialsError(
            f"{said} ({code or type(error).__name__}): expected {expected}; {mend} and run again: it goes on from here"
        )
    if is_transient(error):
        return TransientError(said)
    if isinstance(error, OSError) or is_disk_full(error):
        return ours(_system_message(doing, error))
    if isinstance(error, boto.BotoCoreError | boto.ClientError):
        return ours(f"{said}; check the AWS settings, the credentials among them")
    return None


def _system_message(doing: str, error: Exception) -> str:
    said = f"{doing}: {_message(error)}"
    if isinstance(error, PermissionError):
        return f"{doing}: access denied ({_message(error)}); check the credentials and the bucket's policy"
    if is_disk_full(error):
        return f"{said}; make room and run again: it goes on where this one ended"
    return f"{said}; `undertone doctor` shows what can be reached"


def _message(error: BaseException) -> str:
    return " ".join(_COLOUR.sub("", str(error)).split())
