"""How much each speaker has said, kept up from what a publication adds and takes away.

Adding up all that the touched speakers ever said would read the whole table for every night. It is done for those alone
who lose what they said on their first or last day.
"""

import polars as pl

from data_contracts.schema import tables
from data_contracts.schema.tables import UTTERANCE_KEY
from tasks.aggregates.emotion_daily import speaker_sums
from tasks.run import staging_paths as paths
from tasks.run.context import Run

_IDENTITY = ("speaker_id", "name", "kind", "centroid", "extractor", "sources", "merged_into")
_SUMS = ("first_seen", "last_seen", "n_utterances", "speech_s")


def update_speaker_totals(
    run: Run, after: pl.DataFrame, *, added: pl.DataFrame, removed: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The touched speakers with their sums, and the found ones who have nothing left.

    `after` are all utterances of the touched dates as they will stand; `added` and `removed` what comes and goes.
    `voices.parquet` says who was founded, and whose voice is known anew under this encoder.
    """
    remembered = run.lake.frame("speakers", tables.SPEAKERS).collect()
    voices = pl.DataFrame(run.lake.read_parquet(paths.voices(run.id)))
    people = _people(run, remembered, voices)
    who = pl.concat([rows.select("speaker_id") for rows in (added, removed, voices)]).unique()
    touched = people.join(who, on="speaker_id", how="semi")
    rows = touched.join(_sums(run, remembered, after, added, removed), on="speaker_id", how="left")
    rows = rows.with_columns(
        pl.col("n_utterances").fill_null(0), pl.col("speech_s").fill_null(0.0), run_id=pl.lit(run.id)
    )
    nobody = (pl.col("kind") == "found") & (pl.col("n_utterances") == 0)
    gone = rows.filter(nobody).select("speaker_id")
    with_them = remembered.join(gone, left_on="merged_into", right_on="speaker_id", how="semi").select("speaker_id")
    return rows.filter(~nobody).sort("speaker_id"), pl.concat([gone, with_them])


def _people(run: Run, remembered: pl.DataFrame, voices: pl.DataFrame) -> pl.DataFrame:
    anew = voices.with_columns(extractor=pl.lit(run.speaker.metadata["extractor_digest"]))
    founded = anew.join(remembered, on="speaker_id", how="anti").with_columns(
        name=pl.col("speaker_id"),
        kind=pl.lit("found"),
        sources=pl.lit([], dtype=pl.List(pl.String)),
        merged_into=pl.lit(None, pl.String),
    )
    return pl.concat([remembered.update(anew, on="speaker_id").select(_IDENTITY), founded.select(_IDENTITY)])


def _sums(
    run: Run, remembered: pl.DataFrame, after: pl.DataFrame, added: pl.DataFrame, removed: pl.DataFrame
) -> pl.DataFrame:
    """first_seen, last_seen, n_utterances and speech_s of whoever is touched."""
    came, went, now = (_of(rows) for rows in (added, removed, after))
    known = remembered.select("speaker_id", *_SUMS)
    touched = pl.concat([came.select("speaker_id"), went.select("speaker_id")]).unique()
    rows = touched.join(known, on="speaker_id", how="left")
    for name, other in {"came": came, "went": went, "now": now}.items():
        rows = rows.join(other, on="speaker_id", how="left", suffix=f"_{name}")
    count = _plus("n_utterances")
    rows = rows.with_columns(
        n_utterances=count,
        speech_s=pl.when(count > 0).then(pl.max_horizontal(_plus("speech_s"), 0.0)).otherwise(0.0),
        first_seen=pl.min_horizontal("first_seen", "first_seen_now"),
        last_seen=pl.max_horizontal("last_seen", "last_seen_now"),
        unsure=(count > 0) & (_is_lost("first_seen") | _is_lost("last_seen")),
    )
    unsure = rows.filter("unsure").select("speaker_id")
    sure = rows.filter(~pl.col("unsure"))
    nothing = pl.col("n_utterances") == 0
    sure = sure.with_columns(pl.when(~nothing).then(pl.col(name)).alias(name) for name in ("first_seen", "last_seen"))
    return pl.concat([sure.select("speaker_id", *_SUMS), _anew(run, unsure, added, removed)])


def _of(utterances: pl.DataFrame) -> pl.DataFrame:
    return speaker_sums(utterances.lazy()).collect()


def _plus(name: str) -> pl.Expr:
    before, came, went = (pl.col(f"{name}{end}").fill_null(0) for end in ("", "_came", "_went"))
    return before + came - went


def _is_lost(name: str) -> pl.Expr:
    """Something was taken from the speaker's first (or last) day, and nothing is left on it."""
    taken = pl.col(f"{name}_went") == pl.col(name)
    left = pl.col(f"{name}_now") == pl.col(name)
    return taken.fill_null(False) & ~left.fill_null(False)


def _anew(run: Run, who: pl.DataFrame, added: pl.DataFrame, removed: pl.DataFrame) -> pl.DataFrame:
    """The sums over all that these speakers have said, from the whole table."""
    columns = [*UTTERANCE_KEY, "date", "speaker_id", "start_s", "end_s"]
    if who.is_empty():
        return _of(added.select(columns).clear())
    published = run.lake.frame("utterances", tables.utterances_schema(())).select(columns)
    kept = published.join(
        pl.concat([removed.select(UTTERANCE_KEY), added.select(UTTERANCE_KEY)]).lazy(), on=UTTERANCE_KEY, how="anti"
    )
    theirs = pl.concat([kept, added.select(columns).lazy()], how="vertical_relaxed")
    return speaker_sums(theirs.join(who.lazy(), on="speaker_id", how="semi")).collect()
