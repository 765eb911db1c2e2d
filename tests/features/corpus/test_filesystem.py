"""Roots that cannot be listed: missing folders and buckets, unknown protocols, no corpus at all."""

import datetime as dt

import pytest

from data_contracts.errors import CorpusError, UsageError
from features.corpus.layout import Corpus
from features.corpus.listing import list_objects

DAY = dt.date(2026, 11, 21)


@pytest.mark.parametrize("root", ["/there/is/no/such/folder", "file:///there/is/no/such/folder"])
def test_a_missing_root_is_told_from_an_empty_night(tmp_path, root):
    for dates in (None, [DAY]):
        with pytest.raises(CorpusError, match=f"there is no corpus at {root}; check --corpus"):
            list(list_objects(Corpus(root), dates))
    assert list(list_objects(Corpus(str(tmp_path)), [DAY])) == []


def test_a_missing_bucket_is_told_from_an_empty_one(s3):
    with pytest.raises(CorpusError, match=f"there is no corpus at s3://{s3}-not/calls"):
        list(list_objects(Corpus(f"s3://{s3}-not/calls"), [DAY]))
    assert list(list_objects(Corpus(f"s3://{s3}"), [DAY])) == []


def test_an_unknown_protocol_is_wrong_usage():
    with pytest.raises(UsageError, match="expected a path or a URL that fsspec knows; found 'gopher://calls'"):
        list(list_objects(Corpus("gopher://calls"), [DAY]))


def test_no_corpus_at_all_is_wrong_usage():
    with pytest.raises(UsageError, match="give --corpus DIR_OR_URL or set UNDERTONE_CORPUS"):
        Corpus("")
    Corpus("", manifest="calls.csv")
