"""Manual edits that die on the way: the next publication finishes them before its own."""

import pytest
from helpers.three_speakers import check_tables_agree

import tasks.publication.publish
from tasks.speakers import curation
from tasks.stages.publish import roll_forward


class Killed(BaseException):
    """No handler may catch it, as none catches a kill."""


def _die_in_merge(lake, monkeypatch, table):
    """Merge a found speaker into an enrolled one, and be killed before the commit of `table`."""
    commit = tasks.publication.publish.commit

    def die_at(at, change, *arguments, **options):
        if change.table == table:
            raise Killed
        commit(at, change, *arguments, **options)

    with monkeypatch.context() as death:
        death.setattr(tasks.publication.publish, "commit", die_at)
        with pytest.raises(Killed):
            curation.merge(lake, "ada-lovelace", ["spk_b"])


@pytest.mark.parametrize("table", ["utterances", "speakers", "speaker_daily", "runs"])
def test_a_merge_that_died_is_finished(table, lake, monkeypatch):
    _die_in_merge(lake, monkeypatch, table)
    assert len(roll_forward.fn(lake)) == 1
    assert lake.scan("utterances").filter(speaker_id="ada-lovelace").collect().height == 3
    assert lake.scan("runs").filter(flow="speakers merge").collect().height == 1
    assert lake.names("staging") == ["publishing"]
    check_tables_agree(lake)


def test_the_next_publication_finishes_a_merge_that_died_first(lake, monkeypatch):
    """A regression: half of it was lost where another publication came before the next run started."""
    _die_in_merge(lake, monkeypatch, "speakers")
    curation.rename(lake, "spk_c", "Cleo")
    assert set(lake.scan("speakers").filter(kind="merged").collect()["speaker_id"]) == {"spk_b"}
    check_tables_agree(lake)
