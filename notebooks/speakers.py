import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Speakers")

with app.setup:
    import os
    import sys
    from itertools import cycle

    import altair as alt
    import duckdb
    import marimo as mo
    import numpy as np
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
    # Speakers

    Amounts and dates of speech, emotions, and similar voices. The charts show the twenty speakers with most speech.

        marimo edit notebooks/speakers.py -- --lake demo-lake
    """)


@app.cell
def _():
    lake = ut.open(str(mo.cli_args().get("lake") or os.environ.get("UNDERTONE_LAKE", "demo-lake")))
    utterances = lake.scan("utterances").collect() if "utterances" in lake.tables() else pl.DataFrame()
    stop(utterances.is_empty(), f"Nobody has spoken in `{lake.uri}` yet: run `undertone backfill` or `undertone demo`.")
    speakers = lake.scan("speakers").collect()
    return speakers, utterances


@app.cell
def _(speakers, utterances):
    spoken = duckdb.sql("""
        SELECT coalesce(name, speaker_id) AS speaker, coalesce(kind, 'forgotten') AS kind, date,
               coalesce(emotion, 'too little said') AS emotion, count(*) AS utterances, sum(end_s - start_s) AS speech_s
        FROM utterances LEFT JOIN speakers USING (speaker_id)
        WHERE speaker_id IS NOT NULL GROUP BY ALL
    """).pl()
    totals = duckdb.sql("""
        SELECT speaker, kind, sum(utterances)::BIGINT AS utterances, sum(speech_s) AS speech_s,
               min(date) AS first_seen, max(date) AS last_seen
        FROM spoken GROUP BY ALL ORDER BY speech_s DESC, speaker
    """).pl()
    top = totals.head(20)["speaker"].to_list()
    top_speech = spoken.filter(pl.col("speaker").is_in(top))
    return top, top_speech, totals


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Amount of speech
    """)


@app.cell
def _(top, totals):
    alt.Chart(totals.filter(pl.col("speaker").is_in(top))).mark_bar().encode(
        alt.X("speech_s:Q", title="speech (s)"),
        alt.Y("speaker:N", sort=top, title=None),
        alt.Color(
            "kind:N",
            scale=alt.Scale(domain=["enrolled", "found", "forgotten"], range=["#009E73", "#0072B2", "#999999"]),
            legend=alt.Legend(orient="bottom", title=None),
        ),
        tooltip=["speaker", "kind", "utterances", alt.Tooltip("speech_s", format=",.1f")],
    ).properties(width="container", height=alt.Step(20))


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Dates
    """)


@app.cell
def _(top, top_speech):
    _days = top_speech.group_by("speaker", "date").agg(pl.col("utterances", "speech_s").sum()).sort("date", "speaker")
    alt.Chart(_days).mark_circle(color="#0072B2", opacity=0.9).encode(
        alt.X("yearmonthdate(date):O", title="date", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        alt.Y("speaker:N", sort=top, title=None),
        alt.Size("speech_s:Q", title="speech (s)", scale=alt.Scale(range=[20, 400])),
        tooltip=["speaker", "date", "utterances", alt.Tooltip("speech_s", format=",.1f")],
    ).properties(width="container", height=alt.Step(24))


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Emotions

    Shares of each speaker's speech. For a speaker with little speech, the shares are uncertain.
    """)


@app.cell
def _(top, top_speech):
    shares = (
        top_speech.group_by("speaker", "emotion").agg(pl.col("utterances", "speech_s").sum()).sort("speaker", "emotion")
    )
    alt.Chart(shares).mark_bar().encode(
        alt.X("speech_s:Q", stack="normalize", title="share of speech (%)", axis=alt.Axis(format="%")),
        alt.Y("speaker:N", sort=top, title=None),
        alt.Color(
            "emotion:N",
            scale=colours(shares["emotion"]),
            legend=alt.Legend(orient="bottom", title=None),
        ),
        tooltip=["speaker", "emotion", "utterances", alt.Tooltip("speech_s", format=",.1f")],
    ).properties(width="container", height=alt.Step(20))
    return (shares,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Similar voices

    The cosine of the angle between two voices' centroids: 1 is the same direction. If two similar voices are one
    person, merge them with `undertone speakers merge`. Only voices embedded by the newest encoder can be compared.
    """)


@app.cell
def _(speakers):
    voices = speakers.filter(pl.col("kind") != "merged", pl.col("centroid").list.len() > 0)
    voices = voices.filter(pl.col("extractor") == pl.col("extractor").sort_by("last_seen", nulls_last=False).last())
    voices = voices.sort("speech_s", "speaker_id", descending=[True, False])
    _unit = np.array(voices["centroid"].to_list(), np.float64).reshape(len(voices), -1 if len(voices) else 0)
    _unit /= np.linalg.norm(_unit, axis=1, keepdims=True)
    _names = voices["name"].to_list()
    pairs = pl.DataFrame(
        {
            "voice": np.repeat(_names, len(voices)),
            "other": np.tile(_names, len(voices)),
            "cosine": (_unit @ _unit.T).ravel(),
        },
        schema={"voice": pl.String, "other": pl.String, "cosine": pl.Float64},
    )
    nearest = (
        pairs.filter(pl.col("voice") != pl.col("other"))
        .sort("cosine", descending=True)
        .group_by("voice", maintain_order=True)
        .first()
    )
    mo.ui.table(nearest.with_columns(pl.col("cosine").round(2)), selection=None)
    return nearest, pairs


@app.cell
def _(pairs, top):
    _few = pairs.filter(pl.col("voice").is_in(top), pl.col("other").is_in(top))
    alt.Chart(_few).mark_rect().encode(
        alt.X("other:N", sort=top, title=None, axis=alt.Axis(labelAngle=-45)),
        alt.Y("voice:N", sort=top, title=None),
        alt.Color("cosine:Q", title="cosine", scale=alt.Scale(scheme="cividis", domain=[0, 1], clamp=True)),
        tooltip=["voice", "other", alt.Tooltip("cosine", format=".2f")],
    ).properties(width=alt.Step(32), height=alt.Step(32))


@app.cell(hide_code=True)
def _(nearest, totals):
    if mo.app_meta().mode == "script":
        print(totals, nearest, sep="\n")


if __name__ == "__main__":
    app.run()
