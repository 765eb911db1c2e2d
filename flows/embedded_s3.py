"""An S3 server inside this process, on loopback and in memory: for the demo and the tests, never for data to keep."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_contracts.errors import UsageError

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "undertone",
    "AWS_SECRET_ACCESS_KEY": "undertone",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def embedded_s3(*buckets: str) -> Iterator[str]:
    """Serves `buckets` while it is open and points the usual AWS settings there; yields the endpoint."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as error:
        raise UsageError("the embedded S3 server needs the extra: pip install 'undertone[demo]'") from error
    import boto3

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    wanted = {**_ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        client = boto3.client("s3")
        for bucket in buckets:
            client.create_bucket(Bucket=bucket)
        yield wanted["AWS_ENDPOINT_URL"]
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        server.stop()


def upload(folder: Path, bucket: str, prefix: str = "") -> int:
    """Every file below `folder` under its relative path. Returns how many."""
    import boto3

    client = boto3.client("s3")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        client.put_object(Bucket=bucket, Key=f"{prefix}{path.relative_to(folder)}", Body=path.read_bytes())
    return len(files)
