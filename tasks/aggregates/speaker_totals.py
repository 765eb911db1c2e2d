"""Totals by speaker, updated from what a publication adds and removes.

Adding up all utterances of the touched speakers would read the whole table for every night. It is done only for the
speakers who lose utterances on their first or last day, and by a run that publishes lost tables again.
"""

from dataclasses import dataclass

import polars as pl

from data_contracts.schema import tables
from data_contracts.schema.tables import UTTERANCE_KEY
from tasks.aggregates.emotion_daily import speaker_sums
from tasks.run import staging_paths as paths
from tasks.run.context import Run

_IDENTITY = ("speaker_id", "name", "kind", "centroid", "centroid_s", "extractor", "sources", "merged_into")
_SUMS = ("first_seen", "last_seen", "n_utterances", "speech_s")


@dataclass(frozen=True)
class Totals:
    """Rows of `speakers` to write, and the ids of the speakers that the table loses."""

    rows: pl.DataFrame
    emptied: pl.DataFrame  # speaker_id


def update_speaker_totals(run: Run, after: pl.DataFrame, *, added: pl.DataFrame, removed: pl.DataFrame) -> Totals:
    """Return the touched speakers with their sums; found speakers without an utterance are emptied.

    `after` are all utterances of the touched dates as they will stand; `added` and `removed` those that come and go.
    Speakers that the run founded, or encoded again with this encoder, are read from `voices.parquet`.
    """
    before = run.lake.frame("speakers", tables.SPEAKERS).collect()
    voices = pl.DataFrame(run.lake.read_parquet(paths.voices(run.id)))
    touched = pl.concat([rows.select("speaker_id") for rows in (added, removed, voices)]).drop_nulls().unique()
    gallery = _with_voices(run, before, voices).join(touched, on="speaker_id", how="semi")
    rows = gallery.join(_sums(run, before, after, added, removed), on="speaker_id", how="left").with_columns(
        pl.col("n_utterances").fill_null(0), pl.col("speech_s").fill_null(0.0), run_id=pl.lit(run.id)
    )
    is_empty = (pl.col("kind") == "found") & (pl.col("n_utterances") == 0)
    emptied = rows.filter(is_empty).select("speaker_id")
    merged_into_them = before.join(emptied, left_on="merged_into", right_on="speaker_id", how="semi")
    return Totals(
        rows.filter(~is_empty).sort("speaker_id"), pl.concat([emptied, merged_into_them.select("speaker_id")])
    )


def _with_voices(run: Run, before: pl.DataFrame, voices: pl.DataFrame) -> pl.DataFrame:
    """The table's identities with the centroids of `voices`, and the founded speakers that it does not hold yet."""
    reencoded = voices.with_columns(extractor=pl.lit(run.speaker.metadata["extractor_digest"]))
    founded = reencoded.join(before, on="speaker_id", how="anti").with_columns(
        name=pl.col("speaker_id"),
        kind=pl.lit("found"),
        sources=pl.lit([], dtype=pl.List(pl.String)),
        merged_into=pl.lit(None, pl.String),
    )
    return pl.concat([before.update(reencoded, on="speaker_id").select(_IDENTITY), founded.select(_IDENTITY)])


def _sums(
    run: Run, before: pl.DataFrame, after: pl.DataFrame, added: pl.DataFrame, removed: pl.DataFrame
) -> pl.DataFrame:
    """first_seen, last_seen, n_utterances and speech_s of the speakers with added or removed utterances."""
    sums = {
        name: speaker_sums(rows.lazy()).collect()
        for name, rows in {"added": added, "removed": removed, "after": after}.items()
    }
    touched = pl.concat([sums["added"].select("speaker_id"), sums["removed"].select("speaker_id")]).unique()
    rows = touched.join(before.select("speaker_id", *_SUMS), on="speaker_id", how="left")
    for name, own in sums.items():
        rows = rows.join(own, on="speaker_id", how="left", suffix=f"_{name}")
    count = _updated("n_utterances")
    rows = rows.with_columns(
        n_utterances=count,
        speech_s=pl.when(count > 0).then(pl.max_horizontal(_updated("speech_s"), 0.0)).otherwise(0.0),
        first_seen=pl.min_horizontal("first_seen", "first_seen_after"),
        last_seen=pl.max_horizontal("last_seen", "last_seen_after"),
        is_recount_needed=pl.lit(run.restores)
        | ((count > 0) & (_is_emptied_day("first_seen") | _is_emptied_day("last_seen"))),
    )
    recounted = _recount(run, rows.filter("is_recount_needed").select("speaker_id"), added, removed)
    is_empty = pl.col("n_utterances") == 0
    updated = rows.filter(~pl.col("is_recount_needed")).with_columns(
        pl.when(~is_empty).then(pl.col(name)).alias(name) for name in ("first_seen", "last_seen")
    )
    return pl.concat([updated.select("speaker_id", *_SUMS), recounted])


def _updated(name: str) -> pl.Expr:
    before, added, removed = (pl.col(f"{name}{end}").fill_null(0) for end in ("", "_added", "_removed"))
    return before + added - removed


def _is_emptied_day(name: str) -> pl.Expr:
    """True where utterances of the speaker's first (or last) day are removed, and none is left on it."""
    is_touched = pl.col(f"{name}_removed") == pl.col(name)
    is_left = pl.col(f"{name}_after") == pl.col(name)
    return is_touched.fill_null(False) & ~is_left.fill_null(False)


def _recount(run: Run, speakers: pl.DataFrame, added: pl.DataFrame, removed: pl.DataFrame) -> pl.DataFrame:
    """The sums over all utterances of these speakers, from the whole table."""
    columns = [*UTTERANCE_KEY, "date", "speaker_id", "start_s", "end_s"]
    if speakers.is_empty():
        return speaker_sums(added.select(columns).clear().lazy()).collect()
    published = run.lake.frame("utterances", tables.utterances_schema(())).select(columns)
    replaced = pl.concat([removed.select(UTTERANCE_KEY), added.select(UTTERANCE_KEY)]).lazy()
    kept = published.join(replaced, on=UTTERANCE_KEY, how="anti")
    after = pl.concat([kept, added.select(columns).lazy()], how="vertical_relaxed")
    return speaker_sums(after.join(speakers.lazy(), on="speaker_id", how="semi")).collect()
