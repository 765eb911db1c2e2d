"""S3 requests: lost answers are seen, refusals have reasons, and reads return the etag of their content."""

import boto3
import pytest
from helpers.faulty_s3 import Fault

from data_contracts.object_store.client_options import s3fs_options
from data_contracts.object_store.error_translation import error_code
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.object_store.s3 import S3


@pytest.fixture
def fs(s3, faulty):
    boto3.client("s3").put_object(Bucket=s3, Key="a", Body=b"0123456789")
    return S3(**s3fs_options(RetryPolicy(timeout_s=0.5)))


def test_a_read_returns_the_etag_of_its_content(fs, s3):
    etag = boto3.client("s3").head_object(Bucket=s3, Key="a")["ETag"].strip('"')
    assert fs.content(f"{s3}/a") == (b"0123456789", etag)
    assert fs.content(f"{s3}/a", 2, 5) == (b"234", etag)
    assert fs.content(f"{s3}/a", 5, None) == (b"56789", etag)
    boto3.client("s3").put_object(Bucket=s3, Key="a", Body=b"9876543210")
    assert fs.content(f"{s3}/a")[1] != etag


def test_a_read_is_one_request(fs, s3, faulty):
    """s3fs asked for the size first, by HEAD."""
    before = faulty.n_requests
    assert fs.cat_file(f"{s3}/a") == b"0123456789"
    assert faulty.log[before:] == [(f"GET /{s3}/a", "pass")]


def test_half_a_body_is_read_again(fs, s3, faulty):
    faulty.do(Fault("truncate", times=2))
    assert fs.cat_file(f"{s3}/a") == b"0123456789"


def test_a_request_is_tried_three_times_and_a_conditional_one_is_not(fs, s3, faulty):
    faulty.do(Fault("internal_error"))
    for ask, n in ((lambda: fs.cat_file(f"{s3}/a"), 3), (lambda: fs.pipe_file(f"{s3}/b", b"", mode="create"), 1)):
        before = faulty.n_requests
        with pytest.raises(OSError, match="made by the proxy"):
            ask()
        assert faulty.n_requests - before == n


@pytest.mark.parametrize("code", ["ExpiredToken", "AccessDenied"])
def test_a_refused_head_says_why(fs, s3, faulty, code):
    """A HEAD's answer has no body: credentials that ran out looked like one object's missing permission."""
    faulty.do(Fault("answer", status=403, code=code))
    with pytest.raises(PermissionError) as caught:
        fs.info(f"{s3}/a")
    assert error_code(caught.value) == code


def test_a_refused_head_beside_an_allowed_listing_stays_access_denied(fs, s3, faulty):
    faulty.do(Fault("answer", on="^HEAD", status=403))
    with pytest.raises(PermissionError) as caught:
        fs.info(f"{s3}/a")
    assert error_code(caught.value) == "403"
