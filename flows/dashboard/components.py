"""HTML parts of a page: cards, chart panels, tables with players. Text from data is escaped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

import duckdb
import marimo as mo
import polars as pl

from data_contracts.errors import UndertoneError
from flows.charts.palette import EMOTIONS, GREY

NO_ROWS = "Nothing in these days, with these filters."


def render_or_warn(build: Callable[[], mo.Html]) -> mo.Html:
    """Return the result of `build`, or its error as a warning, so that one view's failure leaves the others."""
    try:
        return build()
    except UndertoneError as error:
        return warning([str(error)])
    except duckdb.BinderException as error:
        return warning([f"this lake was written by an older version: `undertone backfill --stage score` ({error})"])


def page_head(lake: str, views: Iterable[Any]) -> mo.Html:
    """Return the head of every page: the lake's URI, and a button for each view.

    Buttons and not tabs: those of marimo 0.25 do not listen to the arrow keys as tabs should.
    """
    name = '<div class="ut-undertone" role="heading" aria-level="1">Undertone</div>'
    buttons = "".join(mo.as_html(view).text for view in views)
    return mo.Html(
        f'<header class="ut-head">{name}<span>{escape(lake)}</span></header><nav class="ut-views">{buttons}</nav>'
    )


def filter_bar(number: int, narrowing: Sequence[Any]) -> mo.Html:
    """Mark the view of that number, from 0, and show its filters. The buttons keep their focus."""
    mark = f'<i class="ut-at-{number}"></i>'
    return mo.Html(mark + control_bar(*narrowing).text)


def control_bar(*elements: Any) -> mo.Html:
    """Return controls in a row that wraps."""
    return mo.Html(f'<div class="ut-bar">{"".join(mo.as_html(element).text for element in elements)}</div>')


def column(*parts: mo.Html) -> mo.Html:
    """Stack parts under each other."""
    return mo.Html(f'<main class="ut-column">{"".join(part.text for part in parts)}</main>')


def grid(*panels: mo.Html) -> mo.Html:
    """Place panels side by side where there is room, under each other on a phone."""
    return mo.Html(f'<div class="ut-grid">{"".join(panel.text for panel in panels)}</div>')


def cards(figures: dict[str, tuple[str, str]]) -> mo.Html:
    """Return a card for each figure: its label, the figure, and a word under it."""
    parts = (
        f'<div class="ut-card"><span>{escape(label)}</span><strong>{escape(figure)}</strong>'
        f"<small>{escape(word)}</small></div>"
        for label, (figure, word) in figures.items()
    )
    return mo.Html(f'<div class="ut-cards">{"".join(parts)}</div>')


def panel(title: str, inside: Any, note: str = "", *, wide: bool = False) -> mo.Html:
    """Return a titled part of the page: a chart, HTML, or a sentence."""
    body = _note(inside) if isinstance(inside, str) else mo.as_html(inside).text
    kind = "ut-panel ut-wide" if wide else "ut-panel"
    return mo.Html(f'<section class="{kind}">{_heading(title)}{body}{_note(note)}</section>')


def stack(charts: Mapping[str, Any]) -> mo.Html:
    """Return charts close under each other, each with its name."""
    parts = (f'<div class="ut-name">{escape(name)}</div>{mo.as_html(chart).text}' for name, chart in charts.items())
    return mo.Html(f'<div class="ut-stack">{"".join(parts)}</div>')


def chart_panel(
    title: str, rows: pl.DataFrame, chart: Callable[[pl.DataFrame], Any], note: str = "", *, wide: bool = False
) -> mo.Html:
    """Return a panel with the chart of the rows, or with a sentence where there are none."""
    return panel(title, chart(rows) if rows.height else NO_ROWS, note if rows.height else "", wide=wide)


def warning(sentences: Sequence[str]) -> mo.Html:
    """Return a paragraph for each sentence; empty without any."""
    return mo.Html("".join(f'<p class="ut-warning" role="status">{escape(words)}</p>' for words in sentences))


def no_data_advice(lake: str) -> mo.Html:
    """Return the commands to run where nothing was published yet."""
    words = f"{lake} holds no table yet. One of these makes them; then load this page again."
    return _advice("Nothing to show yet", words, ["undertone demo", "undertone backfill --corpus DIR_OR_URL"])


def one_model_advice() -> mo.Html:
    """Return the commands to run where only one emotion model has scored."""
    words = "Only one emotion model has scored here. Promote another, and score again what is stored; no audio is read."
    return _advice(
        "Nothing to compare yet", words, ["undertone models promote emotion", "undertone backfill --stage score"]
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> mo.Html:
    """Return a table of cells that are HTML already: `escape_text`, `emotion_dot`, `player`, `link`."""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return mo.Html(
        f'<div class="ut-scroll" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def escape_text(value: object) -> str:
    return escape(str(value))


def link(address: str, words: str) -> str:
    return f'<a href="{escape(address)}" target="_blank" rel="noopener">{escape(words)}</a>'


def dot(colour: str, words: str) -> str:
    """Return a word beside its colour."""
    return f'<i class="ut-dot" style="background:{colour}"></i>{escape(words)}'


def emotion_dot(name: str) -> str:
    return dot(EMOTIONS.get(name, GREY), name)


def player(recording_id: str, date: object, channel: int, start_s: float, end_s: float) -> str:
    """Return an audio player of a stretch; nothing is decoded before play is pressed."""
    query = {"recording": recording_id, "date": date, "channel": channel, "from": start_s, "to": end_s}
    label = f"play {start_s:.1f} to {end_s:.1f} s"
    return f'<audio controls preload="none" aria-label="{label}" src="audio?{escape(urlencode(query))}"></audio>'


def _heading(words: str) -> str:
    """Return a heading without <h2>, of which marimo would draw an outline beside the page."""
    return f'<div class="ut-title" role="heading" aria-level="2">{escape(words)}</div>'


def _note(words: str) -> str:
    return f'<p class="ut-note">{escape(words)}</p>' if words else ""


def _advice(title: str, words: str, commands: Sequence[str]) -> mo.Html:
    lines = escape("\n".join(commands))
    return mo.Html(f'<section class="ut-panel ut-advice">{_heading(title)}{_note(words)}<pre>{lines}</pre></section>')
