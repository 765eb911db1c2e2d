import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Two models on the same utterances")

with app.setup:
    import os
    import sys

    import altair as alt
    import duckdb
    import marimo as mo
    import polars as pl

    import undertone as ut

    def stop(when: bool, words: str) -> None:
        """Stop here, and print what to run instead."""
        if when and mo.app_meta().mode == "script":
            sys.exit(words)
        mo.stop(when, mo.callout(mo.md(words), "warn"))


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Two models on the same utterances

    The changes after a new model was promoted and `undertone backfill --stage score` scored again: the table after one
    run against the table after another. Delta keeps both until `undertone maintain` removes them (after a week).

        marimo edit notebooks/compare_models.py -- --lake demo-lake --before RUN --after RUN
    """)


@app.cell
def _():
    lake = ut.open(str(mo.cli_args().get("lake") or os.environ.get("UNDERTONE_LAKE", "demo-lake")))
    runs = pl.DataFrame()
    if "runs" in lake.tables():
        runs = lake.scan("runs").drop_nulls("versions").sort("started").collect()
    stop(
        len(runs) < 2,
        f"Two published runs are compared, and `{lake.uri}` has {len(runs)}: promote another model "
        "(`undertone models promote`), then run `undertone backfill --stage score`.",
    )
    return lake, runs


@app.cell
def _(runs):
    _labels = {f"{run_id} · {model}": run_id for run_id, model in runs.select("run_id", "emotion_model").iter_rows()}
    _newest = runs["emotion_model"][-1]
    _others = runs.filter(pl.col("emotion_model") != _newest)["run_id"].to_list()
    _selected = {
        "after": mo.cli_args().get("after") or runs["run_id"][-1],
        "before": mo.cli_args().get("before") or (_others or runs["run_id"].to_list()[:-1])[-1],
    }
    _label_of = {run_id: label for label, run_id in _labels.items()}
    stop(not {*_selected.values()} <= {*_label_of}, f"Expected runs of {', '.join(_label_of)}; see `undertone runs`.")
    before = mo.ui.dropdown(_labels, value=_label_of[_selected["before"]], label="before")
    after = mo.ui.dropdown(_labels, value=_label_of[_selected["after"]], label="after")
    mo.hstack([before, after], justify="start", wrap=True)
    return after, before


@app.cell
def _(after, before, lake):
    old = lake.scan("utterances", as_of=before.value).collect()
    new = lake.scan("utterances", as_of=after.value).collect()
    both = duckdb.sql("""
        SELECT recording_id, channel, segment, new.date, new.start_s, new.end_s, new.speaker_id,
               coalesce(old.emotion, 'none') AS before, coalesce(new.emotion, 'none') AS after, before = after AS same
        FROM old JOIN new USING (recording_id, channel, segment)
        ORDER BY ALL
    """).pl()
    stop(both.is_empty(), "They have no utterance in common: their features were extracted with different settings.")
    return both, new, old


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Agreement

    Cohen's kappa is agreement beyond chance: 1 for full agreement, 0 for that of two independent guesses.
    """)


@app.cell
def _(both, new, old):
    agreement = float(both["same"].mean())
    _shares = [both[name].value_counts(normalize=True) for name in ("before", "after")]
    _chance = _shares[0].rename({"before": "emotion"}).join(_shares[1].rename({"after": "emotion"}), on="emotion")
    by_chance = float((_chance["proportion"] * _chance["proportion_right"]).sum())
    kappa = (agreement - by_chance) / (1 - by_chance) if by_chance < 1 else 1.0
    mo.hstack(
        [
            mo.stat(f"{len(both):,}", label="utterances in both", caption=f"of {len(old):,} and {len(new):,}"),
            mo.stat(f"{agreement:.1%}", label="the same emotion"),
            mo.stat(f"{kappa:.2f}", label="Cohen's kappa"),
        ],
        justify="start",
    )
    return agreement, kappa


@app.cell
def _(both):
    confusion = both.group_by("before", "after").len("utterances").sort("before", "after")
    _cells = alt.Chart(confusion).encode(
        alt.X("after:N", title="after", axis=alt.Axis(labelAngle=0)), alt.Y("before:N", title="before")
    )
    _dark = alt.datum.utterances < confusion["utterances"].max() * 0.55
    (
        _cells.mark_rect().encode(alt.Color("utterances:Q", title="utterances", scale=alt.Scale(scheme="cividis")))
        + _cells.mark_text().encode(
            text="utterances:Q", color=alt.when(_dark).then(alt.value("white")).otherwise(alt.value("black"))
        )
    ).properties(width=alt.Step(90), height=alt.Step(44))
    return (confusion,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Differences

    By speaker, and then one by one, the longest first.
    """)


@app.cell
def _(both):
    by_speaker = (
        both.group_by(pl.col("speaker_id").fill_null("unknown"))
        .agg(utterances=pl.len(), differ=(~pl.col("same")).sum(), share=(~pl.col("same")).mean())
        .sort("differ", "speaker_id", descending=[True, False])
    )
    alt.Chart(by_speaker.head(20)).mark_bar(color="#D55E00").encode(
        alt.X("share:Q", title="utterances that differ (%)", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        alt.Y("speaker_id:N", sort=None, title=None),
        tooltip=["speaker_id", "utterances", "differ"],
    ).properties(width="container", height=alt.Step(20))
    return (by_speaker,)


@app.cell
def _(both, lake):
    _uris = lake.scan("recordings").group_by("recording_id").agg(pl.col("uri").min()).collect()
    differences = (
        both.filter(~pl.col("same"))
        .join(_uris, on="recording_id", how="left")
        .with_columns(seconds=pl.col("end_s") - pl.col("start_s"))
        .sort("seconds", "uri", descending=[True, False])
        .select("uri", "start_s", "end_s", "speaker_id", "before", "after")
    )
    mo.ui.table(differences, selection=None)
    return (differences,)


@app.cell(hide_code=True)
def _(agreement, confusion, kappa):
    if mo.app_meta().mode == "script":
        print(f"agreement {agreement:.1%}, kappa {kappa:.2f}", confusion, sep="\n")


if __name__ == "__main__":
    app.run()
