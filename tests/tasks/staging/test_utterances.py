"""Channel names: from the manifest's attributes, else from the settings, by the channel's index."""

import json
from types import SimpleNamespace

import polars as pl
import pytest

from tasks.staging.utterances import named_channels


def _named(*recordings, names=(), channels="each"):
    """Return (recording, channel, name) of recordings given as (n_channels, attributes)."""
    run = SimpleNamespace(config=SimpleNamespace(audio=SimpleNamespace(channels=channels)), channel_names=names)
    rows = [
        (f"r{place}", n, None if attributes is None else json.dumps(attributes))
        for place, (n, attributes) in enumerate(recordings)
    ]
    frame = pl.DataFrame(rows, ["recording_id", "n_channels", "attributes"], orient="row")
    found = named_channels(run, frame.cast({"n_channels": pl.Int32, "attributes": pl.String}))
    assert found.schema == {"recording_id": pl.String, "channel": pl.Int16, "channel_name": pl.String}
    return found.rows()


@pytest.mark.parametrize("attributes", ["agent,customer", ["agent", "customer"], '["agent", "customer"]'])
@pytest.mark.parametrize("channels", ["each", "left", "right", "1"])
def test_names_come_from_the_manifest(attributes, channels):
    rows = _named((2, {"channel_names": attributes, "line": "7"}), channels=channels)
    assert rows == [("r0", 0, "agent"), ("r0", 1, "customer")]


def test_names_come_from_the_settings_without_a_manifest():
    rows = _named((2, None), (2, {"line": "7"}), (2, {"channel_names": "ada,ben"}), names=("agent", "customer"))
    assert [name for _, _, name in rows] == ["agent", "customer"] * 2 + ["ada", "ben"]


def test_a_mix_of_channels_has_no_name():
    assert _named((2, {"channel_names": "agent,customer"}), names=("agent", "customer"), channels="mix") == []


def test_one_channel_gets_a_single_name_only():
    assert _named((1, None), (1, {"channel_names": "ada"}), names=("agent", "customer")) == [("r1", 0, "ada")]


def test_an_empty_name_is_no_name():
    assert _named((3, {"channel_names": "agent,,observer"})) == [("r0", 0, "agent"), ("r0", 2, "observer")]


def test_an_attribute_of_an_older_manifest_is_no_name():
    assert _named((2, {"channel_names": 2}), names=("agent",)) == [("r0", 0, "agent")]
