"""Great Expectations suites of the staged tables. A critical expectation that fails stops the publication.

Some expectations read columns that the audit adds beside the published ones: `recording_s` (the recording's length,
null where the utterance has no recording), `score_sum`, `unscored` (1 where emotion, scores, dimensions and reason
do not go together), `unidentified` (the same of speaker, score and reason), and the one-row frame `run` (what was
counted against what is staged, and how the night compares with the nights before). An expectation costs about 50 ms
with its page, so `TABLES_WITHOUT_SUITE` have none of their own.
"""

from collections.abc import Sequence
from typing import Any

from data_contracts.rejects import Reason, UnidentifiedReason, UnscoredReason
from data_contracts.schema.tables import TABLE_KEYS

ROUNDING_S = 0.04  # one VAD chunk: a segment's end may round past the last sample
MAX_LOST_SHARE = 0.1  # deleted utterances, of those that are staged or deleted
VOLUME_RANGE = (0.2, 5.0)  # a day's utterances against the mean of the days before

DRIFTED_COLUMN = "drifted"
"""Column of the frame `run` that names the measures which drifted."""

TABLES_WITHOUT_SUITE = ("quality_daily", "rejects_daily", "feature_daily", "drift")
"""Tables whose keys are checked by a count in `run` instead (`daily_keys_broken`): never null, never twice."""


def suites(classes: Sequence[str]) -> dict[str, list[Any]]:
    """Return the expectations by staged table; `classes` are the emotion model's."""
    import great_expectations.expectations as gxe

    def critical(kind: str, **arguments: Any) -> Any:
        return getattr(gxe, f"Expect{kind}")(severity="critical", **arguments)

    def warning(kind: str, **arguments: Any) -> Any:
        return getattr(gxe, f"Expect{kind}")(severity="warning", **arguments)

    def present(*columns: str) -> list[Any]:
        return [critical("ColumnValuesToNotBeNull", column=column) for column in columns]

    def between(column: str, low: float | None, high: float | None) -> Any:
        return critical("ColumnValuesToBeBetween", column=column, min_value=low, max_value=high)

    def one_of(column: str, values: Sequence[str]) -> Any:
        return critical("ColumnValuesToBeInSet", column=column, value_set=list(values))

    def at_least(larger: str, smaller: str, *, or_equal: bool = False) -> Any:
        return critical("ColumnPairValuesAToBeGreaterThanB", column_A=larger, column_B=smaller, or_equal=or_equal)

    def unique(*columns: str) -> Any:
        if len(columns) == 1:
            return critical("ColumnValuesToBeUnique", column=columns[0])
        return critical("CompoundColumnsToBeUnique", column_list=list(columns))

    def keyed(table: str) -> list[Any]:
        return [*present(*TABLE_KEYS[table]), unique(*TABLE_KEYS[table])]

    scores = [f"score_{name}" for name in classes]
    return {
        "recordings": [
            *present("uri", "etag", "date", "status", "feature_version", "run_id"),
            unique("uri"),
            one_of("status", ["ok", "rejected"]),
            one_of("reason", [str(reason) for reason in Reason]),
            between("bytes", 0, None),
            between("seconds", 0, None),
            between("truncated_s", 0, None),
            between("clipped_share", 0, 1),
            between("speech_ratio", 0, 1),
            between("bandwidth_hz", 0, None),
            between("unexplained", 0, 0),
        ],
        "utterances": [
            *present("recording_id", "channel", "segment", "start_s", "end_s"),
            *present("emotion_model", "speaker_model", "feature_version", "run_id", "date"),
            unique("recording_id", "channel", "segment"),
            *present("recording_s"),
            between("start_s", 0, None),
            at_least("end_s", "start_s"),
            at_least("recording_s_rounded", "end_s", or_equal=True),
            *(between(score, 0, 1) for score in scores),
            *([between("score_sum", 0.999, 1.001), one_of("emotion", classes)] if classes else []),
            one_of("emotion_reason", [str(reason) for reason in UnscoredReason]),
            between("unscored", 0, 0),
            one_of("speaker_reason", [str(reason) for reason in UnidentifiedReason]),
            between("unidentified", 0, 0),
            between("speaker_score", 0, 1),
        ],
        "speakers": [
            *present("speaker_id", "name", "kind", "extractor"),
            unique("speaker_id"),
            one_of("kind", ["enrolled", "found", "merged"]),
            between("n_utterances", 0, None),
            between("speech_s", 0, None),
        ],
        "rejects": [
            *present("uri", "etag", "reason"),
            unique("uri", "etag"),
            one_of("reason", [str(reason) for reason in Reason]),
            between("tries", 1, None),
        ],
        "emotion_daily": [*keyed("emotion_daily"), between("n_utterances", 1, None)],
        "speaker_daily": [*keyed("speaker_daily"), between("n_utterances", 1, None)],
        "run": [
            between("recordings_missing", 0, 0),
            between("utterances_missing", 0, 0),
            between("daily_utterances_missing", 0, 0),
            between("daily_keys_broken", 0, 0),
            warning(
                "ColumnValuesToBeBetween",
                column="volume_ratio",
                min_value=VOLUME_RANGE[0],
                max_value=VOLUME_RANGE[1],
            ),
            warning("ColumnValuesToBeBetween", column="lost_share", min_value=0, max_value=MAX_LOST_SHARE),
            warning("ColumnValuesToBeNull", column=DRIFTED_COLUMN),
        ],
    }
