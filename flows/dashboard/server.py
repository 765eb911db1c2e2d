"""Read-only server of the dashboard: marimo's page, stretches of audio, and Data Docs."""

import datetime as dt
import mimetypes
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import marimo
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from data_contracts.errors import UndertoneError, UsageError
from data_contracts.lake import Lake
from features.segmentation.segments import Span
from flows.dashboard import audio, recordings
from flows.dashboard.first_paint import FirstPaint
from flows.dashboard.loopback import LoopbackOnly
from flows.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_APP = Path(__file__).with_name("app.py")
_MAX_S = 600.0


def make_app(settings: Settings) -> "ASGIApp":
    """Return the ASGI application. `app.py` loads its own settings: the environment has to name the lake."""
    page = marimo.create_asgi_app(quiet=True, include_code=False).with_app(path="/", root=str(_APP)).build()
    lake, css = settings.open_lake(), _APP.with_suffix(".css").read_text()

    def serve_audio(request: Request) -> Response:
        try:
            return Response(_stretch_as_wav(settings, request), media_type="audio/wav")
        except UndertoneError as error:
            return PlainTextResponse(str(error), 400 if isinstance(error, UsageError) else 404)

    def serve_validation(request: Request) -> Response:
        path = PurePosixPath("validation", request.path_params["path"])
        if ".." in path.parts:
            return PlainTextResponse("no such page", 404)
        try:
            page_bytes = lake.read(str(path))
        except (FileNotFoundError, IsADirectoryError):
            return PlainTextResponse(f"{path} is not in the lake (any more)", 404)
        return Response(page_bytes, media_type=mimetypes.guess_type(path.name)[0])

    routes = [
        Route("/audio", serve_audio),
        Route("/validation/{path:path}", serve_validation),
        Mount("/", FirstPaint(page, lake, css)),
    ]
    return LoopbackOnly(Starlette(routes=routes))


def warm_up(lake: Lake) -> None:
    """Import and query once what the first view would wait for."""
    import altair  # noqa: F401
    import scipy.signal  # noqa: F401

    import features.dsp.f0  # noqa: F401
    from flows.dashboard import filters, overview

    filters.all_choices(lake)
    overview.runs(lake)


def _stretch_as_wav(settings: Settings, request: Request) -> bytes:
    """Return the WAV that the query names. Raises UsageError, CorpusError."""
    query = request.query_params
    try:
        date, channel = dt.date.fromisoformat(query["date"]), int(query["channel"])
        span = Span(float(query["from"]), float(query["to"]))
    except (KeyError, ValueError) as error:
        raise UsageError(f"expected recording, date, channel, from and to; found {query}") from error
    if not 0 <= span.start_s < span.end_s <= span.start_s + _MAX_S:
        raise UsageError(f"expected a stretch of at most {_MAX_S:g} s; found {span.start_s:g} to {span.end_s:g} s")
    recording = recordings.read_recording(settings.open_lake(), query.get("recording", ""), date)
    if recording is None:
        raise UsageError(f"no usable recording {query.get('recording')!r} on {date}")
    return audio.as_wav(audio.read_span(recording, span, channel, settings))
