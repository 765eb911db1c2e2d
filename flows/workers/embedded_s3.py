"""S3 server in a child process, on loopback and in memory: for the demo and tests, never for data to keep."""

import importlib.util
import os
import subprocess
import sys
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


# A separate process, since Delta and Polars hold the GIL in places, and a server behind the same GIL could not answer.
# Conditional requests are serialised: moto checks before it writes, and two requests may interleave.
# The server ends when its standard input closes, so that it never outlives its parent.
_SERVER = """
import logging, sys, threading
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
one_at_a_time, answer = threading.Lock(), DomainDispatcherApplication.__call__
def atomically(app, environ, start_response):
    if "HTTP_IF_NONE_MATCH" not in environ and "HTTP_IF_MATCH" not in environ:
        return answer(app, environ, start_response)
    with one_at_a_time:
        return answer(app, environ, start_response)
DomainDispatcherApplication.__call__ = atomically
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@contextmanager
def embedded_s3(*buckets: str) -> Iterator[str]:
    """Serve `buckets` and point the usual AWS settings there; yield the endpoint."""
    if importlib.util.find_spec("moto") is None:
        raise UsageError("the embedded S3 server needs the extra: pip install 'undertone[demo]'")
    import boto3

    command = [sys.executable, "-W", "ignore", "-c", _SERVER]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    environment = {name: os.environ.get(name) for name in (*_ENVIRONMENT, "AWS_ENDPOINT_URL")}
    try:
        port = int(server.stdout.readline())  # type: ignore[union-attr]
        os.environ.update({**_ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
        client = boto3.client("s3")
        for bucket in buckets:
            client.create_bucket(Bucket=bucket)
        client.close()
        yield os.environ["AWS_ENDPOINT_URL"]
    finally:
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        server.communicate()


def upload(folder: Path, bucket: str, prefix: str = "") -> int:
    """Upload every file below `folder` under its relative path. Return the number of files."""
    import boto3

    client = boto3.client("s3")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        client.put_object(Bucket=bucket, Key=f"{prefix}{path.relative_to(folder)}", Body=path.read_bytes())
    return len(files)
