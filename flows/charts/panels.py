"""Charts of the dashboard and the report: a data frame in, an Altair chart out, every axis with its unit.

Charts have no background and no colour of text: the page that shows them sets both. Those
of one recording are in `flows.charts.timelines`.
"""

from typing import cast

import altair as alt
import polars as pl

from flows.charts.palette import KINDS, VERDICTS, VERMILLION, colour_scale

Chart = alt.Chart | alt.LayerChart | alt.FacetChart

_FAINT = "rgba(128, 128, 128, 0.28)"
_WIDTH = "container"
_EMBED = {"embedOptions": {"actions": False}}  # no menu, of which an entry leads to a page on the internet
_N_NAMED = 8  # voices of the map that have their names written beside them


def hours_by_date(daily: pl.DataFrame) -> Chart:
    """Draw hours of audio, a bar a day. Columns: date, source, hours."""
    return apply_style(
        alt.Chart(daily)
        .mark_bar()
        .encode(
            x=_day_axis(daily),
            y=alt.Y("hours:Q", title="audio (h)", stack=True),
            color=alt.Color("source:N", title=None, scale=colour_scale(daily["source"], {})),
            tooltip=[_date_tooltip(), "source:N", alt.Tooltip("hours:Q", title="audio (h)", format=".2f")],
        )
    )


def emotions_by_date(daily: pl.DataFrame) -> Chart:
    """Draw each emotion's share of the day's utterances. Columns: date, emotion, n_utterances."""
    return apply_style(
        alt.Chart(daily)
        .mark_bar()
        .encode(
            x=_day_axis(daily),
            y=alt.Y("n_utterances:Q", stack="normalize", title="utterances (%)", axis=alt.Axis(format=".0%")),
            color=_emotion_colour(daily),
            order=alt.Order("emotion:O"),
            tooltip=[_date_tooltip(), "emotion:N", alt.Tooltip("n_utterances:Q", title="utterances", format=",")],
        )
    )


def run_speed(runs: pl.DataFrame) -> Chart:
    """Draw seconds of audio a second of the clock. Columns: run_id, started, rtfx, status, audio_hours."""
    status = colour_scale(runs["status"], VERDICTS)
    return apply_style(
        alt.Chart(runs)
        .mark_point(filled=True, size=90, opacity=0.9)
        .encode(
            x=alt.X(
                "started:T", title="started (UTC)", axis=alt.Axis(format="%-d %b %H:%M", labelOverlap=True, tickCount=4)
            ),
            y=alt.Y("rtfx:Q", title="RTFx (s of audio per s)", scale=alt.Scale(zero=True)),
            color=alt.Color("status:N", title=None, scale=status),
            shape=alt.Shape("status:N", title=None, scale=alt.Scale(domain=status.to_dict()["domain"])),
            tooltip=["run_id:N", "status:N", alt.Tooltip("rtfx:Q", format=",.0f"), "audio_hours:Q"],
        )
    )


def speech_by_speaker(speakers: pl.DataFrame) -> Chart:
    """Draw minutes of speech, the most first. Columns: name, kind, speech_min."""
    return apply_style(
        alt.Chart(speakers)
        .mark_bar()
        .encode(
            x=alt.X("speech_min:Q", title="speech (min)"),
            y=alt.Y("name:N", sort="-x", title=None),
            color=alt.Color("kind:N", title=None, scale=colour_scale(speakers["kind"], KINDS)),
            tooltip=["name:N", "kind:N", alt.Tooltip("speech_min:Q", title="speech (min)", format=",.1f")],
        ),
        height=18 * speakers.height,
    )


def emotion_by_speaker(rows: pl.DataFrame) -> Chart:
    """Draw each emotion's share, a line a speaker in the frame's order. Columns: name, emotion, n_utterances."""
    return apply_style(
        alt.Chart(rows)
        .mark_bar()
        .encode(
            x=alt.X("n_utterances:Q", stack="normalize", title="utterances (%)", axis=alt.Axis(format=".0%")),
            y=alt.Y("name:N", sort=rows["name"].unique(maintain_order=True).to_list(), title=None),
            color=_emotion_colour(rows),
            order=alt.Order("emotion:O"),
            tooltip=["name:N", "emotion:N", alt.Tooltip("n_utterances:Q", title="utterances", format=",")],
        ),
        height=18 * rows["name"].n_unique(),
    )


def voice_map(voices: pl.DataFrame) -> Chart:
    """Draw a map of similar voices, the first of them with names. Columns: name, kind, x, y, speech_min."""
    bare, room = alt.Axis(labels=False, ticks=False, grid=False), alt.Scale(zero=False, padding=60)
    x = alt.X("x:Q", title="1st principal component", axis=bare, scale=room)
    y = alt.Y("y:Q", title="2nd principal component", axis=bare, scale=room)
    points = (
        alt.Chart(voices)
        .mark_circle(opacity=0.75)
        .encode(
            x=x,
            y=y,
            size=alt.Size("speech_min:Q", legend=None, scale=alt.Scale(range=[30, 500])),
            color=alt.Color("kind:N", title=None, scale=colour_scale(voices["kind"], KINDS)),
            tooltip=["name:N", "kind:N", alt.Tooltip("speech_min:Q", title="speech (min)", format=",.1f")],
        )
    )
    names = alt.Chart(voices.head(_N_NAMED)).mark_text(dy=-16).encode(x=x, y=y, text="name:N")
    return apply_style(alt.layer(points, names), height=320)


def rejects_by_reason(rejects: pl.DataFrame) -> Chart:
    """Draw the number of rejected files. Columns: reason, n."""
    return apply_style(
        alt.Chart(rejects)
        .mark_bar(color=VERMILLION)
        .encode(
            x=alt.X("n:Q", title="files", axis=alt.Axis(format="d", tickMinStep=1)),
            y=alt.Y("reason:N", sort="-x", title=None),
            tooltip=["reason:N", alt.Tooltip("n:Q", title="files", format=",")],
        ),
        height=22 * rejects.height,
    )


def spread_by_date(daily: pl.DataFrame, measure: str, title: str) -> Chart:
    """Draw the day's median and its 10th to 90th percentile. Columns: date, source, `measure`, `…_p10`, `…_p90`."""
    base = alt.Chart(daily).encode(
        x=_day_axis(daily), color=alt.Color("source:N", title=None, scale=colour_scale(daily["source"], {}))
    )
    band = base.mark_area(opacity=0.18).encode(
        y=alt.Y(f"{measure}_p10:Q", title=title, scale=alt.Scale(zero=False)), y2=f"{measure}_p90:Q"
    )
    line = base.mark_line(point={"size": 20}, strokeWidth=1.6).encode(
        y=alt.Y(f"{measure}:Q", title=title),
        tooltip=[
            _date_tooltip(),
            "source:N",
            *(alt.Tooltip(f"{measure}{p}:Q", format=",.1f") for p in ("_p10", "", "_p90")),
        ],
    )
    return apply_style(alt.layer(band, line), height=170)


def drift_by_date(rows: pl.DataFrame) -> Chart:
    """Draw distances from the 28 days before; dots pass the threshold. Columns: date, measure, value, threshold."""
    rows = rows.with_columns(times=pl.col("value") / pl.col("threshold"))
    base = alt.Chart(rows).encode(x=_day_axis(rows), y=alt.Y("times:Q", title="drift (threshold = 1)"))
    colour = alt.Color("measure:N", title=None, scale=colour_scale(rows["measure"], {}))
    values = [alt.Tooltip(f"{name}:Q", format=".3f") for name in ("value", "threshold")]
    line = base.mark_line(strokeWidth=1.5).encode(color=colour, tooltip=[_date_tooltip(), "measure:N", *values])
    over = (
        base.transform_filter("datum.times > 1")
        .mark_point(filled=True, size=70)
        .encode(color=colour, tooltip=[_date_tooltip(), "measure:N", *values])
    )
    limit = alt.Chart(pl.DataFrame({"times": [1]})).mark_rule(strokeDash=[5, 4], color=VERMILLION).encode(y="times:Q")
    return apply_style(alt.layer(limit, line, over))


def confusion(pairs: pl.DataFrame, left: str, right: str) -> Chart:
    """Draw how many utterances one version calls `left` and the other `right`. Columns: left, right, n."""
    cividis = alt.Scale(scheme="cividis", domain=[0, 1])
    order = list(colour_scale([*pairs["left"], *pairs["right"]]).to_dict()["domain"])
    share = pairs.with_columns(share=pl.col("n") / pl.col("n").sum().over("left"))
    base = alt.Chart(share).encode(
        x=alt.X("right:N", title=right, sort=order, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("left:N", title=left, sort=order),
    )
    cells = base.mark_rect().encode(
        color=alt.Color(
            "share:Q",
            title="of its row",
            legend=alt.Legend(format=".0%"),
            scale=cividis,
        ),
        tooltip=["left:N", "right:N", alt.Tooltip("n:Q", title="utterances", format=",")],
    )
    text = base.mark_text(fontSize=13).encode(
        text=alt.Text("n:Q", format=","),
        color=alt.condition("datum.share > 0.5", alt.value("#000000"), alt.value("#FFFFFF")),
    )
    return apply_style(alt.layer(cells, text), height=44 * len(order))


def _day_axis(rows: pl.DataFrame) -> alt.X:
    """Return a date axis with at most one tick a day; Vega would go on to hours."""
    n_ticks = max(1, min(8, rows["date"].n_unique() - 1))
    axis = alt.Axis(format="%-d %b", labelOverlap=True, tickCount=n_ticks)
    return alt.X("yearmonthdate(date):T", title="date", axis=axis)


def _date_tooltip() -> alt.Tooltip:
    return alt.Tooltip("date:T", title="date", format="%Y-%m-%d")


def _emotion_colour(rows: pl.DataFrame) -> alt.Color:
    return alt.Color("emotion:N", title=None, scale=colour_scale(rows["emotion"]))


def apply_style(chart: Chart, height: int = 220) -> Chart:
    """Apply the look that all charts share."""
    return cast(
        Chart,
        chart.properties(width=_WIDTH, height=height, usermeta=_EMBED)
        .configure(background="transparent", font="system-ui, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(gridColor=_FAINT, domain=False, ticks=False, labelPadding=6, titlePadding=10)
        .configure_legend(orient="top", labelFontSize=11, symbolOpacity=1, columns=3, columnPadding=8)
        .configure_text(color="#808080"),
    )
