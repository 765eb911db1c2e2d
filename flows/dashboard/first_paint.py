"""First paint: the overview's figures as plain HTML, shown for the seconds in which the browser loads marimo."""

from html import escape
from urllib.parse import parse_qs

import duckdb
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data_contracts.errors import UndertoneError
from data_contracts.lake import Lake
from flows.dashboard import components, filters, overview

# Covers the page until that shows something. Colours are literal: marimo's are not loaded yet.
_STYLE = """
#ut-first { position: absolute; inset: 0; z-index: 10; pointer-events: none; padding: 3.1rem 5.4rem;
  color-scheme: light dark; background: light-dark(#fff, #181c1a); color: CanvasText;
  font-family: "PT Sans", sans-serif;
  --border: #8883; --card: light-dark(#fff, #252928); --muted-foreground: GrayText; }
#ut-first .ut-note { height: 6.2rem; }
@media (max-width: 480px) { #ut-first { padding: 1.2rem; } #ut-first .ut-note { height: 10rem; } }
"""
_SCRIPT = """
const first = document.getElementById("ut-first"), root = document.getElementById("root");
const shown = ".ut-card, .ut-column, .ut-advice, .ut-warning";
const watch = new MutationObserver(() => root.querySelector(shown) && (watch.disconnect(), first.remove()));
watch.observe(root, { childList: true, subtree: true });
"""


class FirstPaint:
    """Middleware that adds the figures to the page of `app` at `/`, below the app's own style sheet `css`."""

    def __init__(self, app: ASGIApp, lake: Lake, css: str) -> None:
        self._app, self._lake, self._css = app, lake, css

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/":
            await self._app(scope, receive, send)
            return
        plain = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
        start: Message = {}
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))

        await self._app({**scope, "headers": plain}, receive, keep)
        views = parse_qs(scope["query_string"].decode(errors="replace")).get("view", ["overview"])
        first = await run_in_threadpool(self._html, views[0])
        whole = bytes(body).replace(b"</body>", first.encode() + b"</body>", 1)
        headers = [header for header in start["headers"] if header[0].lower() != b"content-length"]
        await send({**start, "headers": [*headers, (b"content-length", str(len(whole)).encode())]})
        await send({"type": "http.response.body", "body": whole})

    def _html(self, view: str) -> str:
        """Return nothing where nothing was published or can be read: the page itself gives advice."""
        try:
            selection = filters.all_choices(self._lake)
            if selection is None:
                return ""
            figures = overview.cards(overview.figures(self._lake, selection)) if view == "overview" else {}
        except (UndertoneError, duckdb.Error):
            return ""
        name = f'<div class="ut-undertone">Undertone</div><span>{escape(self._lake.uri)}</span>'
        style, script = f"<style>{_STYLE}{self._css}</style>", f"<script>{_SCRIPT}</script>"
        loading = '<p class="ut-note">Filters and charts are loading …</p>'
        inside = f'<header class="ut-head">{name}</header>{loading}{components.cards(figures).text}'
        return f'{style}<div id="ut-first" aria-busy="true">{inside}</div>{script}'
