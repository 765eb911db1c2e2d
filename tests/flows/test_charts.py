"""Colours mean the same everywhere, and every chart is one that Vega draws, with its units."""

import json

import polars as pl
import pytest
import vl_convert

from flows import charts, recording_charts
from flows.palette import EMOTIONS, PALETTE, colours

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
        **{column: [1.0, 2.0] for column in ("hours", "n_utterances", "mean_score", "score_low", "score_high", "rtfx")},
        **{column: [1.0, 2.0] for column in ("speech_min", "x", "y", "time_s", "low", "high", "f0_hz", "start_s", "n")},
        **{column: [1.0, 2.0] for column in ("end_s", "value", "threshold", "audio_hours", "snr_db")},
        **{column: [1.0, 2.0] for column in ("snr_db_p10", "snr_db_p90")},
    }
)
DRAWN = {
    "audio (h)": charts.hours(ROWS),
    "utterances (%)": charts.emotion_mix(ROWS),
    "mean score (0 to 1)": charts.mean_scores(ROWS),
    "RTFx (s of audio per s)": charts.run_speed(ROWS),
    "speech (min)": charts.speech_by_speaker(ROWS),
    "emotion by speaker": charts.emotion_by_speaker(ROWS),
    "1st principal component": charts.voice_map(ROWS),
    "files": charts.rejects_by_reason(ROWS),
    "SNR (dB)": charts.spread(ROWS, "snr_db", "SNR (dB)"),
    "drift (threshold = 1)": charts.drift(ROWS),
    "old": charts.confusion(ROWS, "old", "new"),
    "amplitude": recording_charts.waveform(ROWS, (0.0, 3.0)),
    "channel": recording_charts.emotions(ROWS, (0.0, 3.0)),
    "time (s)": recording_charts.speakers(ROWS, (0.0, 3.0)),
    "F0 (Hz)": recording_charts.contour(ROWS, (0.0, 3.0), "f0_hz", "F0 (Hz)"),
}


@pytest.mark.parametrize("title", DRAWN)
def test_vega_draws_it_with_its_title(title):
    svg = vl_convert.vegalite_to_svg(json.dumps(charts.themed(DRAWN[title], "dark"), default=str))
    assert title in svg or title == "emotion by speaker"
    assert svg.count("<path") > 2


def test_an_emotion_keeps_its_colour_and_others_take_what_is_left():
    few = colours(["neutral", "pride", None, "anger"]).to_dict()
    assert few["domain"] == ["anger", "neutral", "pride"]
    assert few["range"][:2] == [EMOTIONS["anger"], EMOTIONS["neutral"]]
    assert few["range"][2] in set(PALETTE) - set(few["range"][:2])
    assert len(set(EMOTIONS.values())) == len(EMOTIONS)
