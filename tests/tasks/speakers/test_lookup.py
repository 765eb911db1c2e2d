"""Names and ids of speakers: unknown, ambiguous and taken ones are refused with words that help."""

import pyarrow as pa
import pytest
from helpers.three_speakers import check_tables_agree, enrollment

from data_contracts.errors import UsageError
from data_contracts.schema.tables import SPEAKERS
from tasks.publication.manual_change import ManualChange, publish_manual_change
from tasks.speakers import curation
from tasks.speakers.lookup import existing_enrollment, find_speaker, load_speakers


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


COMPOSED, DECOMPOSED = "Jos\u00e9 N", "Jose\u0301 N"


def _publish(lake, *rows):
    """Add speakers, (id, name) each, as an earlier version wrote them."""
    before = load_speakers(lake).filter(speaker_id="ada-lovelace").to_dicts()[0]
    table = pa.Table.from_pylist([{**before, "speaker_id": key, "name": name} for key, name in rows], schema=SPEAKERS)
    publish_manual_change(lake, "by hand", lambda _: ManualChange({"speakers": table}))


def test_a_name_in_both_spellings_is_one_speaker(lake):
    """They were two speakers, both shown as José."""
    one, other = (curation.enroll(lake, enrollment(name)) for name in (DECOMPOSED, COMPOSED))
    assert (one["speaker_id"], one["name"]) == (other["speaker_id"], other["name"]) == ("jos\u00e9-n", COMPOSED)
    speakers = load_speakers(lake)
    for name in (COMPOSED, DECOMPOSED, DECOMPOSED.upper(), "jose\u0301-n"):
        assert find_speaker(speakers, name)["speaker_id"] == "jos\u00e9-n"
    with pytest.raises(UsageError, match="undertone speakers merge"):
        curation.rename(lake, "spk_b", DECOMPOSED)
    assert curation.rename(lake, "spk_b", "Rene\u0301")["name"] == "Ren\u00e9"


def test_a_decomposed_name_of_an_older_lake_is_found_by_either(lake):
    _publish(lake, ("jose-n", DECOMPOSED))
    speakers = load_speakers(lake)
    for name in (COMPOSED, DECOMPOSED):
        assert existing_enrollment(speakers, name)["speaker_id"] == "jose-n", "the id is what other tables hold"
        assert find_speaker(speakers, name)["speaker_id"] == "jose-n"


def test_two_of_one_name_in_an_older_lake_are_told_apart_by_their_ids(lake):
    _publish(lake, ("jose-n", DECOMPOSED), ("jos\u00e9-n", COMPOSED))
    with pytest.raises(UsageError, match="is the name of jose-n, jos\u00e9-n: say which, by its id"):
        curation.forget(lake, COMPOSED)
    assert existing_enrollment(load_speakers(lake), DECOMPOSED)["speaker_id"] == "jos\u00e9-n"
    assert curation.merge(lake, "jos\u00e9-n", ["jose-n"])["speaker_id"] == "jos\u00e9-n"


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
