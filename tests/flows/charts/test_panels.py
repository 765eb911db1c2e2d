"""Colours with one meaning, and charts that Vega draws with their units."""

import json

import polars as pl
import pytest
import vl_convert

from flows.charts import panels, timelines
from flows.charts.palette import EMOTIONS, PALETTE, colour_scale

ROWS = pl.DataFrame(
    {
        "date": pl.Series(["2026-11-20", "2026-11-21"]).str.to_date(),
        "source": ["sales", "support"],
        "emotion": ["anger", "neutral"],
        "name": ["Ada", "spk_1"],
        "kind": ["enrolled", "found"],
        "channel": [0, 1],
        "measure": ["class_mix", "embedding"],
        "reason": ["empty", "silent"],
        "left": ["anger", "neutral"],
        "right": ["neutral", "neutral"],
        "run_id": ["a", "b"],
        "status": ["done", "dead"],
        "started": pl.Series(["2026-11-20T03:00:00", "2026-11-21T03:00:00"]).str.to_datetime(),
        **{column: [1.0, 2.0] for column in ("hours", "n_utterances", "rtfx")},
        **{column: [1.0, 2.0] for column in ("speech_min", "x", "y", "time_s", "low", "high", "f0_hz", "start_s", "n")},
        **{column: [1.0, 2.0] for column in ("end_s", "value", "threshold", "audio_hours", "snr_db")},
        **{column: [1.0, 2.0] for column in ("snr_db_p10", "snr_db_p90")},
    }
)
CHARTS = {
    "audio (h)": panels.hours_by_date(ROWS),
    "utterances (%)": panels.emotions_by_date(ROWS),
    "RTFx (s of audio per s)": panels.run_speed(ROWS),
    "speech (min)": panels.speech_by_speaker(ROWS),
    "emotion by speaker": panels.emotion_by_speaker(ROWS),
    "1st principal component": panels.voice_map(ROWS),
    "files": panels.rejects_by_reason(ROWS),
    "SNR (dB)": panels.spread_by_date(ROWS, "snr_db", "SNR (dB)"),
    "drift (threshold = 1)": panels.drift_by_date(ROWS),
    "old": panels.confusion(ROWS, "old", "new"),
    "amplitude": timelines.waveform(ROWS, (0.0, 3.0)),
    "channel": timelines.emotion_bars(ROWS, (0.0, 3.0)),
    "time (s)": timelines.speaker_bars(ROWS, (0.0, 3.0)),
    "F0 (Hz)": timelines.contour(ROWS, (0.0, 3.0), "f0_hz", "F0 (Hz)"),
}


@pytest.mark.parametrize("title", CHARTS)
def test_vega_draws_it_with_its_title(title):
    svg = vl_convert.vegalite_to_svg(json.dumps(CHARTS[title].to_dict(), default=str))
    assert title in svg or title == "emotion by speaker"
    assert svg.count("<path") > 2


def test_an_emotion_keeps_its_colour_and_others_take_what_is_left():
    few = colour_scale(["neutral", "pride", None, "anger"]).to_dict()
    assert few["domain"] == ["anger", "neutral", "pride"]
    assert few["range"][:2] == [EMOTIONS["anger"], EMOTIONS["neutral"]]
    assert few["range"][2] in set(PALETTE) - set(few["range"][:2])
    assert len(set(EMOTIONS.values())) == len(EMOTIONS)
