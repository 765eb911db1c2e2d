"""Names and ids of speakers: unknown, ambiguous and taken ones are refused with words that help."""

import pyarrow as pa
import pytest
from helpers.three_speakers import check_tables_agree

from data_contracts.errors import UsageError
from data_contracts.schema.tables import SPEAKERS
from tasks.publication.manual_change import ManualChange, publish_manual_change
from tasks.speakers import curation
from tasks.speakers.lookup import load_speakers


def test_an_unknown_name_gets_close_matches(lake):
    with pytest.raises(UsageError, match=r"'Ada Lovlace'; did you mean Ada Lovelace"):
        curation.rename(lake, "Ada Lovlace", "Ada")
    with pytest.raises(UsageError, match="undertone speakers` lists"):
        curation.forget(lake, "zzz")


def test_a_name_of_two_speakers_is_ambiguous(lake):
    rows = [{**row, "name": "Ben"} for row in load_speakers(lake).filter(kind="found").to_dicts()]
    publish_manual_change(
        lake, "by hand", lambda _: ManualChange({"speakers": pa.Table.from_pylist(rows, schema=SPEAKERS)})
    )
    with pytest.raises(UsageError, match="'Ben' is the name of spk_b, spk_c"):
        curation.merge(lake, "ada-lovelace", ["Ben"])


@pytest.mark.parametrize("name", ["Ada Lovelace", "ADA LOVELACE", "ada-lovelace"])
def test_a_name_of_another_speaker_is_refused(lake, name):
    with pytest.raises(UsageError, match="undertone speakers merge ada-lovelace spk_b"):
        curation.rename(lake, "spk_b", name)


@pytest.mark.parametrize(("name", "words"), [("!?", "letter or a digit"), ("Forgotten", "were forgotten")])
def test_words_that_cannot_be_names_are_refused(lake, name, words):
    with pytest.raises(UsageError, match=words):
        curation.rename(lake, "spk_b", name)


def test_impossible_merges_are_refused(lake):
    with pytest.raises(UsageError, match="merged with itself"):
        curation.merge(lake, "spk_b", ["spk_b"])
    with pytest.raises(UsageError, match="undertone speakers merge ada-lovelace spk_b"):
        curation.merge(lake, "spk_b", ["ada-lovelace"])
    curation.merge(lake, "ada-lovelace", ["spk_b"])
    with pytest.raises(UsageError, match=r"was merged into Ada Lovelace \(ada-lovelace\)"):
        curation.rename(lake, "spk_b", "Ben")
    with pytest.raises(UsageError, match="merged into ada-lovelace already"):
        curation.merge(lake, "spk_c", ["spk_b"])
    check_tables_agree(lake)
