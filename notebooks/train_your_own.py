import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Train your own")

with app.setup:
    import os
    import sys

    import altair as alt
    import marimo as mo
    import numpy as np
    import polars as pl
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import recall_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    import undertone as ut

    KEY = ["recording_id", "channel", "segment"]

    def stop(when: bool, words: str) -> None:
        """Stop here, and print what to run instead."""
        if when and mo.app_meta().mode == "script":
            sys.exit(words)
        mo.stop(when, mo.callout(mo.md(words), "warn"))


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Train your own

    A classifier of emotion from the features that the lake holds already: no audio is read. Labels come from a CSV with
    the columns `path, speaker, emotion`; without one, the champion's emotions stand in for labels, which shows the
    steps and improves nothing.

        marimo edit notebooks/train_your_own.py -- --lake demo-lake --labels labels.csv
        python notebooks/train_your_own.py -- --lake demo-lake --labels labels.csv --register
    """)


@app.cell
def _():
    lake = ut.open(str(mo.cli_args().get("lake") or os.environ.get("UNDERTONE_LAKE", "demo-lake")))
    labels = str(mo.cli_args().get("labels") or "")
    utterances = lake.scan("utterances").collect() if "utterances" in lake.tables() else pl.DataFrame()
    stop(utterances.is_empty(), f"No utterances in `{lake.uri}` yet: run `undertone backfill` or `undertone demo`.")
    recordings = lake.scan("recordings").collect()
    return labels, lake, recordings, utterances


@app.cell
def _(labels, recordings, utterances):
    if labels:
        _labels = pl.read_csv(labels).filter(pl.col("emotion").str.len_chars() > 0)
        _files = recordings.select("recording_id", file=pl.col("uri").str.extract(r"([^/]+)$"))
        _labels = _labels.with_columns(file=pl.col("path").str.extract(r"([^/]+)$")).join(_files, on="file")
        labelled = utterances.select(*KEY, "feature_version").join(
            _labels.select("recording_id", "speaker", "emotion").unique("recording_id"), on="recording_id"
        )
    else:
        labelled = utterances.select(*KEY, "feature_version", "emotion", speaker="speaker_id").drop_nulls(
            ["emotion", "speaker"]
        )
    stop(
        labelled["speaker"].n_unique() < 2 or labelled["emotion"].n_unique() < 2,
        "Two speakers and two emotions at least, so that one can be held out: label more (`--labels FILE`).",
    )
    return (labelled,)


@app.cell(hide_code=True)
def _(labelled):
    _n = labelled["emotion"].value_counts().sort("emotion")
    mo.md(f"""
    ## From features to a classifier

    {len(labelled):,} labelled utterances of {labelled["speaker"].n_unique():,} speakers:
    {", ".join(f"{n:,} {emotion}" for emotion, n in _n.iter_rows())}. A speaker's utterances are all in one fold, so
    each is classified without the speaker in the training data.
    """)


@app.cell
def _(labelled, lake):
    def feature_set(name: str) -> pl.LazyFrame:
        """Return a feature set, in the version that the tables were made from."""
        version = labelled["feature_version"].mode().sort().last()
        return lake.scan(name).filter(version=version).drop("version", "date").unique(KEY)

    rows = (
        labelled.lazy()
        .join(feature_set("egemaps"), on=KEY)
        .join(feature_set("suprasegmental"), on=KEY)
        .sort(KEY)
        .collect()
    )
    egemaps = rows.drop(*KEY, "feature_version", "speaker", "emotion", "suprasegmental").to_numpy()
    features = np.hstack([egemaps, rows["suprasegmental"].to_numpy()]).astype(np.float32)
    return features, rows


@app.cell
def _(features, rows):
    emotions, speakers = rows["emotion"].to_numpy(), rows["speaker"].to_numpy()
    compressed = np.sign(features) * np.log1p(np.abs(features))
    pipeline = make_pipeline(
        StandardScaler(),
        FunctionTransformer(np.clip, kw_args={"a_min": -4, "a_max": 4}),
        LogisticRegression(C=0.003, class_weight="balanced", max_iter=1_000),
    )
    folds = list(GroupKFold(min(5, len(set(speakers)))).split(features, emotions, speakers))
    stop(
        any(len(set(emotions[train])) < 2 for train, _ in folds),
        "Without the speakers of a fold, one emotion is left: label more of the others (`--labels FILE`).",
    )
    predicted = cross_val_predict(pipeline, compressed, emotions, cv=folds)
    uar = float(recall_score(emotions, predicted, average="macro"))
    return compressed, emotions, pipeline, predicted, speakers, uar


@app.cell(hide_code=True)
def _(emotions, uar):
    mo.hstack(
        [
            mo.stat(f"{uar:.2f}", label="UAR", caption="unweighted average recall, of unseen speakers"),
            mo.stat(f"{1 / len(set(emotions)):.2f}", label="chance"),
        ],
        justify="start",
    )


@app.cell
def _(emotions, predicted):
    confusion = (
        pl.DataFrame({"label": emotions, "predicted": predicted})
        .group_by("label", "predicted")
        .len("utterances")
        .sort("label", "predicted")
    )
    _cells = alt.Chart(confusion).encode(
        alt.X("predicted:N", title="predicted", axis=alt.Axis(labelAngle=0)), alt.Y("label:N", title="label")
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
    ## A challenger

    Registering it changes no score. `undertone models promote emotion challenger --corpus
    DIR` judges both on labelled speech that neither was trained on, and lets the better one score from then on.
    """)


@app.cell
def _():
    register = mo.ui.run_button(label="Register as @challenger")
    register
    return (register,)


@app.cell
def _(compressed, emotions, lake, pipeline, register, rows, speakers, uar):
    mo.stop(not (register.value or "register" in mo.cli_args()))
    scaler, _, classifier = (step for _, step in pipeline.fit(compressed, emotions).steps)
    challenger = ut.register_emotion_classifier(
        lake,
        weights=classifier.coef_,
        bias=classifier.intercept_,
        mean=scaler.mean_,
        scale=scaler.scale_,
        classes=classifier.classes_,
        recordings=rows["recording_id"],
        speakers=speakers,
        metrics={"uar": uar},
        description="logistic regression",
    )
    mo.md(f"Registered: **{challenger.label}**")
    return (challenger,)


@app.cell(hide_code=True)
def _(confusion, uar):
    if mo.app_meta().mode == "script":
        print(f"UAR of unseen speakers: {uar:.2f}", confusion, sep="\n")


if __name__ == "__main__":
    app.run()
