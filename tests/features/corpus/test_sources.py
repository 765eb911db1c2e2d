"""Sources of recordings: by manifest, else by folder, else by corpus."""

import datetime as dt
import json

import pytest

from features.corpus.layout import DEFAULT_LAYOUT
from features.corpus.sources import Sources

DAY = dt.date(2026, 11, 21)


@pytest.mark.parametrize(
    ("uri", "root", "layout", "source"),
    [
        ("s3://calls/2026/11/21/support/deep/a.flac", "s3://calls", DEFAULT_LAYOUT, "support"),
        ("s3://calls/2026/11/21/a.flac", "s3://calls", DEFAULT_LAYOUT, "calls"),
        ("s3://bucket/calls/2026/11/21/a.flac", "s3://bucket/calls/", DEFAULT_LAYOUT, "calls"),
        ("s3://bucket/calls/2026/11/21/a.flac", "", DEFAULT_LAYOUT, "calls"),
        ("/data/calls/2026/11/21/north/a.flac", "", DEFAULT_LAYOUT, "north"),
        ("/data/calls/day-20261121/a.flac", "", "{root}/day-{date:%Y%m%d}/", "calls"),
        ("/data/calls/north/a.flac", "/data/calls", "modified", "north"),
        ("/data/calls/a.flac", "/data/calls", "modified", "calls"),
        ("/data/calls/north/a.flac", "", "modified", "north"),
        ("/2025/01/01/2026/11/21/north/a.flac", "", DEFAULT_LAYOUT, "north"),
        ("/data/calls/late/a.flac", "/data/calls", DEFAULT_LAYOUT, "late"),
        ("https://host/a.flac", "", "modified", "host"),
    ],
)
def test_a_folder_or_the_corpus_names_it(uri, root, layout, source):
    assert Sources(root, layout).source_of(uri, DAY) == source


def test_a_manifest_knows_better():
    sources = Sources("s3://calls")
    uri = "s3://calls/2026/11/21/support/a.flac"
    assert sources.source_of(uri, DAY, json.dumps({"source": "hotline"})) == "hotline"
    assert sources.source_of(uri, DAY, json.dumps({"source": 7})) == "7"
    assert sources.source_of(uri, DAY, json.dumps({"source": " "})) == "support"
    assert sources.source_of(uri, DAY, json.dumps({"note": 'no "source" here'})) == "support"
