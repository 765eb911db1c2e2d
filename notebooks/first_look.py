import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="A first look")

with app.setup:
    import os
    import sys
    from itertools import cycle

    import altair as alt
    import marimo as mo
    import polars as pl

    import undertone as ut

    def colours(emotions: pl.Series) -> alt.Scale:
        """Return Okabe and Ito's colours, which colour-blind people can tell apart, the same everywhere."""
        usual = {"anger": "#D55E00", "happiness": "#E69F00", "neutral": "#999999", "sadness": "#0072B2"}
        others = cycle(("#009E73", "#CC79A7", "#56B4E9", "#F0E442"))
        names = emotions.unique().sort().to_list()
        return alt.Scale(domain=names, range=[usual.get(name) or next(others) for name in names])

    def stop(when: bool, words: str) -> None:
        """Stop here, and print what to run instead."""
        if when and mo.app_meta().mode == "script":
            sys.exit(words)
        mo.stop(when, mo.callout(mo.md(words), "warn"))


@app.cell(hide_code=True)
def _():
    mo.md("""
    # A first look

    Speakers and their emotions: the tables of a lake, with Polars, DuckDB and Altair. `lake.scan(TABLE)` is a
    Polars LazyFrame, `lake.sql(…)` runs DuckDB. Every cell can be copied as it is.

        marimo edit notebooks/first_look.py -- --lake demo-lake
        python notebooks/first_look.py -- --lake demo-lake --picture first_look.png
    """)


@app.cell
def _():
    lake = ut.open(str(mo.cli_args().get("lake") or os.environ.get("UNDERTONE_LAKE", "demo-lake")))
    utterances = lake.scan("utterances").collect() if "utterances" in lake.tables() else pl.DataFrame()
    stop(utterances.is_empty(), f"No utterances in `{lake.uri}` yet: run `undertone backfill` or `undertone demo`.")
    recordings = lake.scan("recordings").collect()
    speakers = lake.scan("speakers").collect()
    return lake, recordings, speakers, utterances


@app.cell(hide_code=True)
def _(lake, recordings, utterances):
    _files = recordings["status"].value_counts().sort("status").iter_rows()
    _n_speakers = utterances["speaker_id"].drop_nulls().n_unique()
    mo.md(f"""
    `{lake.uri}` holds **{len(utterances):,} utterances** of {_n_speakers:,} speakers, in
    {", ".join(f"{n:,} recordings that are {status}" for status, n in _files)}.
    """)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Speech by speaker
    """)


@app.cell
def _(lake):
    by_speaker = lake.sql("""
        SELECT coalesce(name, speaker_id, 'unknown') AS speaker,
               count(*) AS utterances,
               round(sum(end_s - start_s), 1) AS speech_s,
               count(DISTINCT date) AS nights,
               mode(emotion ORDER BY emotion) AS mostly
        FROM utterances LEFT JOIN speakers USING (speaker_id)
        GROUP BY ALL ORDER BY utterances DESC, speaker
    """)
    mo.ui.table(by_speaker, selection=None)
    return (by_speaker,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## One line a recording

    Time runs to the right, colour is the emotion, the label the speaker; grey is where nobody speaks.
    """)


@app.cell
def _(recordings, speakers, utterances):
    _files = (
        recordings.filter(pl.col("status") == "ok")
        .group_by("recording_id")
        .agg(pl.col("uri").min(), pl.col("seconds").first())
    )
    _first = utterances.select("date", "recording_id").unique().join(_files, on="recording_id")
    _first = _first.sort("date", "uri", "recording_id").head(16)
    timeline = (
        utterances.join(_first.select("recording_id", "date", "uri", "seconds"), on=["recording_id", "date"])
        .join(speakers.select("speaker_id", "name"), on="speaker_id", how="left")
        .sort("date", "uri", "start_s")
        .with_columns(
            recording=pl.col("date").dt.strftime("%d %b  ") + pl.col("uri").str.extract(r"([^/]+)$"),
            emotion=pl.col("emotion").fill_null("too little said"),
            speaker=pl.coalesce("name", "speaker_id", pl.lit("unknown")),
            middle_s=(pl.col("start_s") + pl.col("end_s")) / 2,
        )
        .select("recording", "seconds", "start_s", "middle_s", "end_s", "emotion", "speaker")
    )
    return (timeline,)


@app.cell
def _(timeline):
    _y = alt.Y("recording:N", sort=timeline["recording"].unique(maintain_order=True).to_list(), title=None)
    _x = {"title": "time in the recording (s)", "axis": alt.Axis(tickCount=6)}
    _silence = alt.Chart(timeline.unique("recording")).mark_bar(color="#DDDDDD").encode(alt.X("seconds:Q", **_x), _y)
    _speech = alt.Chart(timeline).encode(_y, tooltip=["speaker", "emotion", "start_s", "end_s"])
    _bars = _speech.mark_bar(cornerRadius=2).encode(
        alt.X("start_s:Q", **_x),
        alt.X2("end_s:Q"),
        alt.Color("emotion:N", scale=colours(timeline["emotion"]), legend=alt.Legend(orient="bottom", title=None)),
    )
    _ink = alt.when(alt.datum.emotion == "sadness").then(alt.value("white")).otherwise(alt.value("black"))
    _names = _speech.mark_text(fontSize=9).encode(alt.X("middle_s:Q", **_x), text="speaker:N", color=_ink)
    chart = (_silence + _bars + _names).properties(
        width=620, height=alt.Step(24), title=alt.Title("Who spoke, and with what emotion", anchor="start")
    )
    chart
    return (chart,)


@app.cell(hide_code=True)
def _(by_speaker, chart):
    picture = mo.cli_args().get("picture")
    if picture:
        chart.save(str(picture), scale_factor=1.5)
    if mo.app_meta().mode == "script":
        print(by_speaker)


if __name__ == "__main__":
    app.run()
