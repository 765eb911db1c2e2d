"""S3 server on loopback that counts the requests of a call, by kind."""

import contextlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_SERVER = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.basicConfig(filename=sys.argv[1], format="%(message)s", level=logging.ERROR)
logging.getLogger("werkzeug").setLevel(logging.INFO)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@contextlib.contextmanager
def counted_s3(
    bucket: str, log: Path, kinds: Sequence[str]
) -> Iterator[Callable[[Callable[[], object]], tuple[int, ...]]]:
    """Start a server with a `bucket` that logs its requests; yield a function that counts those of a call by kind."""
    import boto3

    command = [sys.executable, "-W", "ignore", "-c", _SERVER, str(log)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        port = int(server.stdout.readline())
        os.environ |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), bucket)
        os.environ |= {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
        os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        boto3.client("s3").create_bucket(Bucket=bucket)

        def count_requests(call: Callable[[], object]) -> tuple[int, ...]:
            start = log.stat().st_size
            call()
            with log.open() as file:
                file.seek(start)
                lines = re.findall(r"(GET|HEAD|POST|PUT|DELETE) (/\S*)", file.read())
            counts = Counter("LIST" if "list-type=2" in target else method for method, target in lines)
            return tuple(counts[kind] for kind in kinds)

        yield count_requests
    finally:
        server.communicate()
