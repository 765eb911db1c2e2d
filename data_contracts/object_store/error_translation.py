"""Translation of the errors of s3fs, botocore, deltalake and Polars: transient, credentials, permanent."""

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
# S3's Glacier and Deep Archive; Azure's archive tier, as far as its documents say. Google's archive is read at once.
_ARCHIVED_CODE = "InvalidObjectState"
_ARCHIVED_TEXT = re.compile(r"InvalidObjectState|BlobArchived|BlobBeingRehydrated|archived blob")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# deltalake and Polars put a store's answer into the text of an OSError.
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"non-2xx status code\W+(\d{3})\b")
_NETWORK_TEXT = re.compile(r"HTTP error|error sending request|timed out|response body|connection (closed|reset)")


@contextlib.contextmanager
def translate_errors(action: str, error_class: type[UndertoneError] = LakeError) -> Iterator[None]:
    """Raise a store's errors as TransientError, CredentialsError or `error_class`; FileNotFoundError passes as it is.

    `action` begins the message: "reading s3://b/x".
    """
    try:
        yield
    except (UndertoneError, FileNotFoundError):
        raise
    except NotADirectoryError as error:  # a file stands where a folder would be: nothing is below it
        raise FileNotFoundError(str(error)) from error
    except Exception as error:
        translation = _translate(action, error, error_class)
        if translation is None:  # a bug of ours is no storage error
            raise
        raise translation from error


def error_code(error: BaseException | None) -> str | None:
    """Return the store's own code for an error: S3's word, or the HTTP status of an answer without a body (HEAD)."""
    while error is not None:
        if isinstance(error, boto.ClientError):
            return str(error.response.get("Error", {}).get("Code"))
        found = _CODE.search(text := _message(error)) or _STATUS.search(text)
        if found:
            return found[1]
        error = error.__cause__
    return None


def is_transient(error: BaseException) -> bool:
    """Tell whether a retry may succeed."""
    code = error_code(error)
    if code is not None:
        return code in _TRANSIENT
    if isinstance(error, _NETWORK) or type(error).__module__.startswith("aiohttp"):
        return True
    if not isinstance(error, OSError):
        return False
    return error.errno in _BUSY_ERRNO or (error.errno is None and bool(_NETWORK_TEXT.search(_message(error))))


def is_archived(error: BaseException | None) -> bool:
    """Tell whether an object lies in an archive and must be restored before it can be read."""
    return error is not None and (error_code(error) == _ARCHIVED_CODE or bool(_ARCHIVED_TEXT.search(_message(error))))


def is_disk_full(error: BaseException | None) -> bool:
    """Tell whether a disk (or a quota) is full."""
    return getattr(error, "errno", None) in _DISK_FULL_ERRNO or "No space left" in str(error)  # Delta gives no number


def _translate(action: str, error: Exception, error_class: type[UndertoneError]) -> UndertoneError | None:
    code, message = error_code(error), f"{action}: {_message(error)}"
    if code in _CLOCK | _BAD_CREDENTIALS or isinstance(error, _NO_CREDENTIALS):
        expected = "a clock that agrees with the store's" if code in _CLOCK else "credentials that the store takes"
        remedy = "set this machine's clock" if code in _CLOCK else "renew them (AWS_… or the profile)"
        return CredentialsError(
            f"{message} ({code or type(error).__name__}): expected {expected}; {remedy} and run again: it goes on from "
            "here"
        )
    if is_transient(error):
        return TransientError(message)
    if isinstance(error, OSError) or is_disk_full(error) or is_archived(error):
        return error_class(_system_message(action, error))
    if isinstance(error, boto.BotoCoreError | boto.ClientError):
        return error_class(f"{message}; check the AWS settings, the credentials among them")
    return None


def _system_message(action: str, error: Exception) -> str:
    message = f"{action}: {_message(error)}"
    if is_archived(error):
        return f"{message}: it lies in an archive (Glacier or the like); restore it, and run again when that is done"
    if isinstance(error, PermissionError):
        remedy = "check the credentials and the bucket's policy" if error.filename is None else "give this user access"
        return f"{action}: access denied ({_message(error)}); {remedy}"
    if is_disk_full(error):
        return f"{message}; make room and run again: it goes on where this one ended"
    return f"{message}; `undertone doctor` shows what can be reached"


def _message(error: BaseException) -> str:
    return " ".join(_COLOUR.sub("", str(error)).split())
