"""Hostile file names end to end: special to a shell, a URL or a terminal, or undecodable."""

import datetime as dt
import hashlib
import io
import json
import os
import unicodedata

import polars as pl
import pytest
import soundfile as sf
from helpers.explore_profile import only_exploring
from helpers.raw_keys import put_as_named
from typer.testing import CliRunner

from data_contracts.lake import Lake
from flows.backfill import backfill
from flows.cli.main import app
from flows.retry import retry

RUN = CliRunner()
NIGHT, DAY = "2026/11/21", dt.date(2026, 11, 21)
BAD = "[red]bad[/blue] \x1b[31m \x9b31m \u202e.flac"
ANYWHERE = [
    "a b.flac",
    unicodedata.normalize("NFC", "ü é.flac"),
    unicodedata.normalize("NFD", "ü é.flac"),
    "👩‍👧 🎧.flac",
    "שלום.flac",
    "a..b.flac",
    "%2F.flac",
    "%20.flac",
    "#.flac",
    "?.flac",
    "a?versionId=b.flac",
    "a",  # what the one before was once read as
    "+&=.flac",
    "*.flac",
    "[x]{y}.flac",
    "a::b.flac",
    "s3:.flac",
    "back\\slash.flac",
    "tab\t.flac",
    "'quoted\".flac",
    ",;.flac",
    "$(rm -rf x).flac",
    "-f.flac",
    "~",
    "space at the end ",
    "dot at the end.",
    "l" * 250 + ".flac",
]
ON_S3 = ["../x.flac", "./x.flac", "/x.flac", "http://x.flac"]  # of a folder they are no names, or not another's
IN_A_FOLDER = ["new\nline.flac", os.fsdecode(b"latin-\xe9.flac")]  # the server of these tests cannot hold the first


@pytest.fixture
def clips(sample):
    """One clip as often as wanted, each a little quieter than the one before: other bytes, the same speech."""
    waveform, rate = sf.read(sample / NIGHT / "call-0023-voice-c.flac", stop=24_000)

    def make(n: int) -> list[bytes]:
        made = []
        for place in range(n):
            with io.BytesIO() as file:
                sf.write(file, waveform * (1 - 0.01 * place), rate, format="FLAC")
                made.append(file.getvalue())
        return made

    return make


def _check(here, files: dict[str, bytes]) -> None:
    """Every object is in the tables once, with what it holds; the next run reads nothing."""
    ledger = backfill(start=DAY, end=DAY, settings=here)
    good = {uri: hashlib.sha256(data).hexdigest()[:32] for uri, data in files.items() if len(data) > 100}
    assert (ledger.n_listed, ledger.extracted.n_objects) == (len(files), len(files))
    assert (ledger.extracted.n_ok, ledger.extracted.n_duplicates) == (len(good), 0)
    lake = Lake(here["lake"])
    recordings = lake.scan("recordings").collect()
    assert dict(recordings.filter(pl.col("status") == "ok").select("uri", "recording_id").iter_rows()) == good
    assert recordings["tries"].to_list() == [1] * len(files)
    assert set(lake.scan("utterances").collect()["recording_id"]) == set(good.values())
    assert set(lake.scan("rejects").collect()["uri"]) == files.keys() - good.keys()
    again = backfill(start=DAY, end=DAY, settings=here)
    assert (again.n_known, again.extracted.n_objects, again.n_published_recordings) == (len(files), 0, 0)


def _check_output(here, files: dict[str, bytes]) -> None:
    """Assert that the printed text is readable and controls no terminal."""
    sql = "SELECT uri FROM recordings ORDER BY uri"
    lake = ["--lake", here["lake"]]
    for command in (["query", sql], ["rejects"]):
        said = RUN.invoke(app, [*command, *lake])
        assert said.exit_code == 0, said.output
        assert "[red]bad[/blue]" in said.output
        assert not set("\x1b\x9b\u202e") & set(said.output)
    document = RUN.invoke(app, ["query", sql, *lake, "--format", "json"]).stdout
    assert sorted(row["uri"] for row in json.loads(document)) == sorted(files)
    document += (listed := RUN.invoke(app, ["rejects", *lake, "--json"]).stdout)
    assert not set("\x1b\x9b\u202e") & set(document)
    (reject,) = json.loads(listed)
    ledger = retry(uris=[reject["uri"]], settings=here)
    assert (ledger.n_listed, ledger.extracted.n_rejected) == (1, 1)
    assert Lake(here["lake"]).scan("rejects").collect().select("uri", "tries").rows() == [(reject["uri"], 2)]


def test_in_a_folder(settings, tmp_path, clips):
    names = [*ANYWHERE, *IN_A_FOLDER]
    folder = tmp_path / "corpus [b]" / NIGHT
    folder.mkdir(parents=True)
    files = {}
    for name, data in [*zip(names, clips(len(names)), strict=True), (BAD, b"not audio")]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        files[f"{folder}/{name}".replace("\udce9", "\\xe9")] = data
    here = settings | {"corpus": str(tmp_path / "corpus [b]")}
    _check(here, files)
    _check_output(here, files)


@only_exploring
def test_on_s3(settings, s3, clips):
    names = [*ANYWHERE, *ON_S3]
    audio = [*zip(names, clips(len(names)), strict=True), (BAD, b"not audio")]
    keys = {f"calls/{NIGHT}/{name}": data for name, data in audio}
    aside = {
        "calls/2026/11/x.flac": keys[f"calls/{NIGHT}/../x.flac"][:-1] + b"?"
    }  # of another night's folder, as large
    put_as_named(s3, {**keys, **aside})
    files = {f"s3://{s3}/{key}": data for key, data in keys.items()}
    here = settings | {"corpus": f"s3://{s3}/calls", "lake": f"s3://{s3}/lake"}
    _check(here, files)
    _check_output(here, files)
