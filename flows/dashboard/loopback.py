"""Access control: only a browser on this machine, and no page of another site open in it."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1"}


class LoopbackOnly:
    """Middleware that refuses another host name (DNS rebinding) and requests of another site's script.

    The server has no password, and what it serves are people's voices.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or is_local_request(Headers(scope=scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse("only this machine's own browser may ask", 403)(scope, receive, send)


def is_local_request(headers: Headers) -> bool:
    """Return whether the request names a loopback host, and comes from our own page or from none."""
    host, origin = headers.get("host", ""), headers.get("origin")
    return urlsplit(f"//{host}").hostname in _LOOPBACK_NAMES and origin in {None, f"http://{host}"}
