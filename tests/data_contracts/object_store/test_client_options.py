"""Options of the S3 clients: the usual AWS settings, and equal time-outs."""

from data_contracts.object_store.client_options import (
    delta_retry_options,
    polars_retry_options,
    s3fs_options,
    storage_options,
)
from data_contracts.object_store.retry import RetryPolicy


def test_storage_options_come_from_the_aws_settings():
    environ = {
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9000",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
    }
    assert storage_options("s3://bucket/lake", environ) == {
        "aws_region": "eu-central-1",
        "aws_endpoint_url": "http://127.0.0.1:9000",
        "aws_allow_http": "true",
        "aws_access_key_id": "id",
        "aws_secret_access_key": "secret",
        "aws_session_token": "token",
    }
    over = environ | {"AWS_ENDPOINT_URL_S3": "https://s3.example"}
    assert storage_options("s3://bucket", over)["aws_endpoint_url"] == "https://s3.example"
    assert storage_options("s3://bucket", over)["aws_allow_http"] == "false"
    assert storage_options("s3://bucket", {}) == {"aws_region": "us-east-1"}
    assert storage_options("s3://bucket", {"AWS_DEFAULT_REGION": "us-west-2"}) == {"aws_region": "us-west-2"}
    assert storage_options("/lake", environ) == {}


def test_storage_options_follow_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert storage_options("s3://bucket") == {"aws_region": "eu-north-1"}


def test_all_clients_wait_equally_long():
    retry_policy = RetryPolicy(total_s=60.0, timeout_s=3.0)
    delta = delta_retry_options("s3://bucket", retry_policy)
    assert (delta["timeout"], delta["connect_timeout"], delta["retry_timeout"]) == ("3000ms", "3000ms", "60000ms")
    polars = polars_retry_options("s3://bucket", retry_policy)
    assert (polars["timeout"], polars["retry_timeout_ms"]) == ("3000ms", 30_000), "it goes two rounds"
    s3fs = s3fs_options(retry_policy, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"})
    assert (s3fs["config_kwargs"]["read_timeout"], s3fs["endpoint_url"]) == (3.0, "http://127.0.0.1:9000")
    assert delta_retry_options("/lake", retry_policy) == polars_retry_options("/lake", retry_policy) == {}
