"""Charts of one recording over the same `span` in seconds, aligned under each other."""

import altair as alt
import polars as pl

from flows.charts.palette import BLUE, EMOTIONS, NO_ANSWER, SKY, colour_scale
from flows.charts.panels import Chart, apply_style

_VALUE_AXIS = alt.Axis(minExtent=44, maxExtent=44)  # as wide in each, so that their times lie under each other
_LEGEND = alt.Legend(columns=2)  # pseudonyms are long, and a phone is narrow


def waveform(envelope: pl.DataFrame, span: tuple[float, float]) -> Chart:
    """Draw the signal's extremes, of full scale. Columns: time_s, low, high."""
    return apply_style(
        alt.Chart(envelope)
        .mark_area(color=SKY, line=False, interpolate="step")
        .encode(x=_time_axis(span), y=alt.Y("low:Q", title="amplitude", axis=_VALUE_AXIS), y2="high:Q"),
        height=110,
    )


def emotion_bars(utterances: pl.DataFrame, span: tuple[float, float]) -> Chart:
    """Draw a bar an utterance, coloured by emotion. Columns: channel, start_s, end_s, emotion."""
    return _bars(utterances, span, "emotion", EMOTIONS | NO_ANSWER)


def speaker_bars(utterances: pl.DataFrame, span: tuple[float, float]) -> Chart:
    """Draw a bar an utterance, coloured by speaker. Columns: channel, start_s, end_s, name."""
    return _bars(utterances, span, "name", NO_ANSWER)


def contour(frames: pl.DataFrame, span: tuple[float, float], column: str, title: str, colour: str = BLUE) -> Chart:
    """Draw a line over the recording's time, with gaps at nulls. Columns: time_s, `column`."""
    return apply_style(
        alt.Chart(frames)
        .mark_line(color=colour, strokeWidth=1.6, invalid="break-paths-show-path-domains")
        .encode(x=_time_axis(span), y=alt.Y(f"{column}:Q", title=title, axis=_VALUE_AXIS, scale=alt.Scale(zero=False))),
        height=110,
    )


def _time_axis(span: tuple[float, float], field: str = "time_s") -> alt.X:
    return alt.X(f"{field}:Q", title="time (s)", scale=alt.Scale(domain=list(span), nice=False))


def _bars(utterances: pl.DataFrame, span: tuple[float, float], by: str, known: dict[str, str]) -> Chart:
    return apply_style(
        alt.Chart(utterances)
        .mark_bar(height=20, clip=True)
        .encode(
            x=_time_axis(span, field="start_s"),
            x2="end_s:Q",
            y=alt.Y("channel:O", title="channel", axis=_VALUE_AXIS),
            color=alt.Color(f"{by}:N", title=None, scale=colour_scale(utterances[by], known), legend=_LEGEND),
            tooltip=[
                f"{by}:N",
                alt.Tooltip("start_s:Q", title="from (s)", format=".2f"),
                alt.Tooltip("end_s:Q", title="to (s)", format=".2f"),
            ],
        ),
        height=30 * utterances["channel"].n_unique(),
    )
