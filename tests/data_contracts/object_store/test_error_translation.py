"""Translation of the errors of every client library: transient, credentials, permanent."""

import pytest
from aiohttp import ClientPayloadError, ServerDisconnectedError
from botocore import exceptions as boto
from s3fs.errors import translate_boto_error

from data_contracts.errors import CorpusError, CredentialsError, LakeError, TransientError
from data_contracts.object_store.error_translation import error_code, translate_errors


@pytest.mark.parametrize(
    ("foreign", "ours", "says"),
    [
        (PermissionError("AccessDenied"), LakeError, "access denied .*AccessDenied.*credentials"),
        (TimeoutError("slow"), TransientError, "slow"),
        (ConnectionResetError("reset"), TransientError, "reset"),
        (OSError(16, "SlowDown"), TransientError, "SlowDown"),
        (OSError(28, "no space left"), LakeError, "no space left.*make room"),
    ],
)
def test_foreign_errors_are_translated(foreign, ours, says):
    with pytest.raises(ours, match=rf"(?s)^writing s3://b/x: .*{says}") as caught, translate_errors("writing s3://b/x"):
        raise foreign
    assert caught.value.__cause__ is foreign
    assert type(caught.value) is ours


@pytest.mark.parametrize(
    "foreign",
    [
        translate_boto_error(boto.ClientError({"Error": {"Code": "InvalidObjectState", "Message": "no"}}, "GetObject")),
        OSError("Generic S3 error: <Error><Code>InvalidObjectState</Code></Error>"),
        OSError("This operation is not permitted on an archived blob. ErrorCode:BlobArchived"),
        Exception("ErrorCode:BlobBeingRehydrated"),
    ],
)
def test_an_archived_object_is_no_matter_of_rights(foreign):
    with pytest.raises(LakeError, match=r"it lies in an archive.*restore it"), translate_errors("reading x"):
        raise foreign


def test_errors_of_the_corpus_are_called_so():
    with pytest.raises(CorpusError, match="listing x: access denied"), translate_errors("listing x", CorpusError):
        raise PermissionError
    with pytest.raises(KeyError), translate_errors("a bug of ours is no storage error"):
        raise KeyError


def _client(code: str, status: int = 400) -> boto.ClientError:
    answer = {"Error": {"Code": code, "Message": "said the store"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(answer, "GetObject")


def _arrow(status: str, code: str = "") -> OSError:
    """As deltalake tells it: colours, arrows and the whole answer in one text."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said the store</Message></Error>" if code else ""
    arrow = "\x1b[31m\u21b3\x1b[0m"
    return OSError(
        f"Generic S3 error {arrow} Error performing PUT http://127.0.0.1:9/b/k in 2.5s, after 3 retries - "
        f"Server returned non-2xx status code {arrow} {status} {arrow} {body}"
    )


WORDS = {
    TransientError: "SlowDown ServiceUnavailable InternalError RequestTimeout 503 500 502 504 429 OperationAborted "
    "ConditionalRequestConflict",
    CredentialsError: "ExpiredToken InvalidToken TokenRefreshRequired RequestTimeTooSkewed InvalidAccessKeyId "
    "SignatureDoesNotMatch",
    LakeError: "AccessDenied 403 NoSuchUpload InvalidArgument",
}


@pytest.mark.parametrize(("ours", "code"), [(ours, code) for ours, codes in WORDS.items() for code in codes.split()])
def test_the_store_s_code_decides(ours, code):
    """By botocore, by s3fs (which made a PermissionError of expired credentials) and by deltalake's text."""
    by_s3fs = translate_boto_error(_client(code))
    texts = [] if code.isdigit() else [_arrow("403 Forbidden", code)]
    for foreign in (_client(code), by_s3fs, *texts):
        if isinstance(foreign, FileNotFoundError):
            continue
        assert error_code(foreign) == code
        with pytest.raises(ours) as caught, translate_errors("reading a"):
            raise foreign
        assert type(caught.value) is ours


@pytest.mark.parametrize(
    "foreign",
    [
        ClientPayloadError("400, message: not enough data"),
        ServerDisconnectedError(),
        boto.ReadTimeoutError(endpoint_url="http://127.0.0.1:9"),
        boto.ConnectTimeoutError(endpoint_url="http://127.0.0.1:9"),
        boto.ResponseStreamingError(error="IncompleteRead"),
        boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        _arrow("503 Service Unavailable"),
        _arrow("500 Internal Server Error", "InternalError"),
        OSError("Generic S3 error \x1b[31m\u21b3\x1b[0m Error performing GET http://127.0.0.1:9 - HTTP error"),
        OSError("object-store error: Generic S3 error: HTTP error: request or response body error"),
    ],
)
def test_network_errors_are_transient(foreign):
    with pytest.raises(TransientError, match=r"^reading a: "), translate_errors("reading a", CorpusError):
        raise foreign


def test_no_credentials_and_a_wrong_clock_say_what_to_do():
    for foreign, says in (
        (boto.NoCredentialsError(), "expected credentials that the store takes; renew them"),
        (boto.CredentialRetrievalError(provider="sso", error_msg="expired"), "renew them"),
        (_client("RequestTimeTooSkewed"), "a clock that agrees with the store's; set this machine's clock and run"),
    ):
        with pytest.raises(CredentialsError, match=says), translate_errors("reading a"):
            raise foreign


def test_file_not_found_is_not_translated():
    with pytest.raises(FileNotFoundError), translate_errors("reading a"):
        raise FileNotFoundError("a")
