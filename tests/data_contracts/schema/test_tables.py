"""The schemas agree with each other, with the keys, and with Arrow's own rules."""

import pyarrow as pa
import pytest

from data_contracts.records import AudioObject, Counts, ModelRef
from data_contracts.rejects import RETRYABLE, Reason
from data_contracts.schema import feature_sets, tables
from data_contracts.schema.tables import TABLE_KEYS

CLASSES = ("calm", "angry")


def _schema(table: str) -> pa.Schema:
    return tables.utterances_schema(CLASSES) if table == "utterances" else getattr(tables, table.upper())


@pytest.mark.parametrize("table", TABLE_KEYS)
def test_keys_are_columns_that_are_never_null(table):
    schema = _schema(table)
    for name in TABLE_KEYS[table]:
        assert not schema.field(name).nullable


@pytest.mark.parametrize("table", TABLE_KEYS)
def test_no_column_twice(table):
    names = _schema(table).names
    assert len(names) == len(set(names))


def test_recordings_and_the_ledger_are_published_last():
    """A run that dies between two tables starts again where `recordings` does not show a recording yet."""
    assert list(TABLE_KEYS)[-2:] == ["recordings", "runs"]


def test_an_utterance_has_a_score_a_class_and_every_version():
    names = tables.utterances_schema(CLASSES).names
    assert [name for name in names if name.startswith("score_")] == ["score_calm", "score_angry"]
    assert {"emotion_model", "speaker_model", "feature_version", "run_id"} <= set(names)
    assert {"emotion_model", "speaker_model", "feature_version", "run_id"} <= set(tables.RECORDINGS.names)


def test_every_utterance_feature_set_begins_with_the_key():
    egemaps = feature_sets.egemaps_schema(["loudness"])
    for schema in (
        feature_sets.SEGMENTS,
        egemaps,
        feature_sets.embeddings_schema(4),
        feature_sets.LOGMEL,
        feature_sets.LLD,
    ):
        assert tuple(schema.names[:3]) == tables.UTTERANCE_KEY == TABLE_KEYS["utterances"]
    assert egemaps.field("loudness").type == pa.float32()
    assert feature_sets.embeddings_schema(4).field("embedding").type == pa.list_(pa.float16(), 4)


def test_hive_columns_stand_in_the_path_alone():
    for schema in (tables.PLAN, feature_sets.RECORDING_FEATURES, feature_sets.SEGMENTS):
        assert not {"date", "version"} & set(schema.names)


def test_a_plan_holds_every_field_of_an_object_but_the_date():
    assert set(tables.PLAN.names) == set(AudioObject.__dataclass_fields__) - {"date"}


def test_the_ledger_has_a_column_a_stage():
    assert [name for name in tables.RUNS.names if name.removesuffix("_s") in tables.STAGES] == [
        f"{stage}_s" for stage in tables.STAGES
    ]


def test_retryable_reasons_are_reasons():
    assert RETRYABLE.issubset(Reason)
    assert str(Reason.NOT_AUDIO) == "not_audio"


def test_counts_add_up():
    total = Counts(n_objects=1, audio_s=0.5) + Counts(n_objects=2, n_rejected=1, audio_s=1.5)
    assert total.as_dict() == Counts(n_objects=3, n_rejected=1, audio_s=2.0).as_dict()


def test_a_model_is_labelled_by_its_content():
    assert ModelRef("emotion", "3", "models:/emotion/3", "9f86d081884c7d65").label == "emotion/3+9f86d081"
