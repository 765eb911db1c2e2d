"""Charts of `flows.charts` as inline SVG in the page's colours: no script, no outside reference."""

import re

import polars as pl

from flows.report.html import Html

_WIDTH, _NARROW = 400, 260  # of the plot, in pixels: at this size, text has the page's size
_DIGITS = re.compile(r"(\d+\.\d{2})\d+")


def warm_up() -> None:
    """Load Altair and start the drawing engine, which takes more than a second, ahead of the first chart."""
    one_row = pl.DataFrame({"reason": ["none"], "n": [0]})
    from flows.charts.panels import rejects_by_reason

    _svg(rejects_by_reason(one_row).to_dict(), "")


def emotion_chart(mix: pl.DataFrame) -> Html:
    """Draw date, emotion, n_utterances."""
    from flows.charts.panels import emotions_by_date

    return _svg(emotions_by_date(mix).to_dict(), "Each emotion's share of the day's utterances")


def measure_chart(daily: pl.DataFrame, name: str, title: str) -> Html:
    """Draw date and `name` with its 10th and 90th percentile."""
    from flows.charts.panels import spread_by_date

    label = f"{title} by date: median, and from the 10th to the 90th percentile"
    return _svg(spread_by_date(daily, name, title).to_dict(), label, _NARROW)


def drift_chart(rows: pl.DataFrame) -> Html:
    """Draw date, measure, value, threshold."""
    from flows.charts.panels import drift_by_date

    return _svg(drift_by_date(rows).to_dict(), "How far each date is from the 28 days before, of the threshold")


def _svg(spec: dict[str, object], label: str, width: int = _WIDTH) -> Html:
    """Return the chart as SVG; size and ink are the page's, and hundredths of a pixel are enough."""
    import vl_convert

    svg = vl_convert.vegalite_to_svg(spec | {"width": width})
    size = re.search(r'viewBox="0 0 (\S+) (\S+)"', svg)
    assert size is not None
    begin = f'<svg role="img" aria-label="{label}" viewBox="0 0 {size[1]} {size[2]}" style="max-width:{size[1]}px">'
    body = svg[svg.index(">") + 1 :].replace(' fill="#000"', "")
    return Html(begin + _DIGITS.sub(r"\1", body))
