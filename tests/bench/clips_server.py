"""S3 server for scale.py: a corpus of any size, made on request, in front of a real lake.

    python tests/bench/clips_server.py LAKE_ENDPOINT N_OBJECTS A_DATE CLIP…

Bucket `calls` holds N_OBJECTS wav files under YYYY/MM/DD/, each one of the CLIPs with its own number in the last bits
of its first samples: different bytes, so a recording of its own. ListObjectsV2 in pages of a thousand, GET with ranges,
HEAD. Whatever else is asked goes to the server at LAKE_ENDPOINT, and its answer comes back as it is. `GET /__seen`
tells the requests so far by stage of the run; the stage is read from the run's own sign of life.
"""

import asyncio
import datetime as dt
import io
import json
import sys
from collections import Counter
from email.utils import format_datetime
from pathlib import Path

import aiohttp
import numpy as np
import soundfile as sf
from aiohttp import web

PAGE = 1_000
FIRST = dt.date(2026, 1, 1)
_MODIFIED = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Clips:
    """The objects, by number and by key."""

    def __init__(self, n: int, a_date: int, files: list[Path]) -> None:
        self.n, self.a_date = n, a_date
        self.clips = [_pcm(path) for path in files]

    def key(self, number: int) -> str:
        day = FIRST + dt.timedelta(days=number // self.a_date)
        return f"{day:%Y/%m/%d}/{number:09d}.wav"

    def content(self, number: int) -> bytes:
        header, samples = self.clips[number % len(self.clips)]
        own = samples.copy()
        bits = (number >> np.arange(40)) & 1
        own[:40] = (own[:40] & ~1) | bits.astype(np.int16)
        return header + own.tobytes()

    def size(self, number: int) -> int:
        header, samples = self.clips[number % len(self.clips)]
        return len(header) + samples.nbytes

    def below(self, prefix: str) -> range:
        """The numbers of the keys with a prefix: of a whole date, or all."""
        days = -(-self.n // self.a_date)
        of = [day for day in range(days) if f"{FIRST + dt.timedelta(days=day):%Y/%m/%d}/".startswith(prefix)]
        return range(of[0] * self.a_date, min(self.n, (of[-1] + 1) * self.a_date)) if of else range(0)


def _pcm(path: Path) -> tuple[bytes, np.ndarray]:
    samples, rate = sf.read(path, dtype="int16")
    sink = io.BytesIO()
    sf.write(sink, samples, rate, format="WAV", subtype="PCM_16")
    return sink.getvalue()[: -samples.nbytes], samples


class Server:
    """Answers for the clips, and passes on what concerns the lake."""

    def __init__(self, clips: Clips, lake: str) -> None:
        self.clips, self.lake, self.stage = clips, lake, "start"
        self.seen: Counter[str] = Counter()
        self.session: aiohttp.ClientSession | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/__seen":
            return web.json_response({"stage": self.stage, "seen": self.seen})
        bucket, _, key = request.path.lstrip("/").partition("/")
        kind = "list" if "list-type" in request.query else request.method.lower()
        self.seen[f"{self.stage} {'corpus' if bucket == 'calls' else 'lake'} {kind}"] += 1
        if bucket != "calls":
            return await self._passed_on(request)
        if "list-type" in request.query:
            return self._page(request.query)
        if not key:
            return web.Response()
        return self._clip(request, int(key.rsplit("/", 1)[-1].removesuffix(".wav")))

    def _clip(self, request: web.Request, number: int) -> web.Response:
        body = self.clips.content(number)
        headers = {"ETag": f'"{number:032x}"', "Last-Modified": format_datetime(_MODIFIED, usegmt=True)}
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(body))})
        byte_range = request.http_range
        if byte_range.start is None and byte_range.stop is None:
            return web.Response(body=body, headers=headers)
        part, start = body[byte_range], byte_range.start or 0
        headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
        return web.Response(status=206, body=part, headers=headers)

    def _page(self, query: "web.BaseRequest.query") -> web.Response:
        numbers = self.clips.below(query.get("prefix", ""))
        start = int(query.get("continuation-token") or numbers.start)
        stop = min(numbers.stop, start + min(PAGE, int(query.get("max-keys", PAGE))))
        entries = "".join(
            f"<Contents><Key>{self.clips.key(number)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{number:032x}&quot;</ETag><Size>{self.clips.size(number)}</Size></Contents>"
            for number in range(start, stop)
        )
        more = stop < numbers.stop
        following = f"<NextContinuationToken>{stop}</NextContinuationToken>" if more else ""
        text = (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>calls</Name>'
            f"<KeyCount>{stop - start}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>{following}{entries}"
            "</ListBucketResult>"
        )
        return web.Response(text=text, content_type="application/xml")

    async def _passed_on(self, request: web.Request) -> web.Response:
        if self.session is None:
            self.session = aiohttp.ClientSession(auto_decompress=False)
        body = await request.read()
        if request.path.endswith("/alive.json") and request.method == "PUT":
            self.stage = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1]).get("stage") or self.stage
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        async with self.session.request(
            request.method, self.lake + request.raw_path, headers=headers, data=body, allow_redirects=False
        ) as answer:
            content = await answer.read()
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in {"transfer-encoding", "connection"}}
            if request.method != "HEAD":
                kept.pop("Content-Length", None)
            return web.Response(status=answer.status, body=content, headers=kept)


async def serve(server: Server) -> None:
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()
    if server.session is not None:
        await server.session.close()


if __name__ == "__main__":
    made = Clips(int(sys.argv[2]), int(sys.argv[3]), [Path(name) for name in sys.argv[4:]])
    asyncio.run(serve(Server(made, sys.argv[1])))
