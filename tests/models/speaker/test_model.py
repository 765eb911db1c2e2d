"""The speaker model: windows, embeddings, scores, storage and the pyfunc."""

import json
import sys
from dataclasses import field, make_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.paths import WEIGHTS
from helpers.sound import padded_noise
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import ModelError
from data_contracts.fingerprint import fingerprint
from models.speaker.encoder import EncoderConfig, build_network, cut_windows, spectrogram
from models.speaker.log_odds import LogOdds
from models.speaker.model import SpeakerModel, _load_pyfunc
from models.speaker.score_norm import Cohort

OlderConfig = make_dataclass(
    "EncoderConfig",
    [
        (name, object, field(default=getattr(EncoderConfig(), name)))
        for name in EncoderConfig.__dataclass_fields__
        if name not in ("frames_joined", "scale")
    ],
)
SMALL = EncoderConfig(dim=16, channels=16, merged_channels=24, attention_channels=8, window_s=0.5)


@pytest.fixture(scope="module")
def model() -> SpeakerModel:
    torch.manual_seed(0)
    return SpeakerModel(build_network(SMALL), SMALL, threshold=0.4, calibration=(9.0, -3.0))


@given(st.lists(st.integers(0, 47), min_size=1, max_size=4), st.integers(1, 9))
def test_windows_cover_every_sample_and_nothing_else(lengths: list[int], size: int) -> None:
    waveform = torch.arange(48.0).repeat(len(lengths), 1) + 1
    cut, row, _ = cut_windows(waveform, torch.tensor(lengths), size=size)
    for index, length in enumerate(lengths):
        heard = cut[row == index]
        assert len(heard) == max(1, -(-length // size))
        assert set(heard.flatten().tolist()) == (set(range(1, length + 1)) or {0})


def test_short_utterance_is_repeated() -> None:
    cut, *_ = cut_windows(torch.tensor([[1.0, 2.0, 3.0, 9.0]]), torch.tensor([3]), size=7)
    assert cut.tolist() == [[1, 2, 3, 1, 2, 3, 1]]


def test_whoever_looks_at_all_modules_meets_no_trap(model: SpeakerModel) -> None:
    # speechbrain's lazy modules import k2 when inspect or hypothesis look at them: ImportError, far from its cause
    assert [hasattr(module, "__file__") for module in list(sys.modules.values())]
    assert not [name for name, module in sys.modules.items() if type(module).__name__ == "LazyModule"]


def test_shape_and_unit_length(model: SpeakerModel) -> None:
    embedded = model.embed(*padded_noise(8_000, 20_001, 100))
    assert embedded.shape == (3, 16)
    assert embedded.dtype == torch.float32
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(3))


def test_empty_and_silent_rows_are_finite(model: SpeakerModel) -> None:
    assert model.embed(torch.zeros(2, 9_000), torch.tensor([0, 9_000])).isfinite().all()
    assert model.embed(torch.zeros(1, 0), torch.tensor([0])).isfinite().all()


@pytest.mark.parametrize("n", [1, 3])
def test_batch_matches_single(model: SpeakerModel, n: int) -> None:
    waveform, lengths = padded_noise(*[4_000, 17_000, 30_000][:n])
    together = model.embed(waveform, lengths)
    for row in range(n):
        alone = model.embed(waveform[row : row + 1, : lengths[row]], lengths[row : row + 1])
        torch.testing.assert_close(together[row], alone[0], atol=1e-4, rtol=0)


def test_padding_is_ignored(model: SpeakerModel) -> None:
    waveform, lengths = padded_noise(6_000, 12_345)
    padded = torch.cat([waveform, torch.full((2, 5_000), 0.9)], dim=1)
    padded[0, 6_000:] = float("nan")
    torch.testing.assert_close(model.embed(padded, lengths), model.embed(waveform, lengths), atol=1e-4, rtol=0)


def test_level_does_not_matter(model: SpeakerModel) -> None:
    waveform, lengths = padded_noise(12_000)
    torch.testing.assert_close(model.embed(waveform * 0.05, lengths), model.embed(waveform, lengths), atol=1e-3, rtol=0)


def test_spectrogram_keeps_as_much_of_the_mean_as_it_is_told() -> None:
    heard = padded_noise(8_000)[0]
    none, half, all_of_it = (spectrogram(heard, replace(SMALL, mean_kept=share)) for share in (0.0, 0.5, 1.0))
    torch.testing.assert_close(none.mean(1), torch.zeros(1, 80), atol=1e-4, rtol=0)
    torch.testing.assert_close(half.mean(1) * 2, all_of_it.mean(1), atol=1e-4, rtol=0)
    torch.testing.assert_close(all_of_it - all_of_it.mean(1, keepdim=True), none, atol=1e-4, rtol=0)


def test_save_and_load_round_trip(model: SpeakerModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    first = SpeakerModel.load(tmp_path)
    first.save(tmp_path / "again")
    again = SpeakerModel.load(tmp_path / "again")
    waveform, lengths = padded_noise(9_000)
    assert torch.equal(first.embed(waveform, lengths), again.embed(waveform, lengths))
    assert (again.threshold, again.calibration, again.dim) == (0.4, (9.0, -3.0), 16)
    assert model.extractor_digest == first.extractor_digest == again.extractor_digest
    assert torch.cosine_similarity(first.embed(waveform, lengths), model.embed(waveform, lengths)).item() > 0.999


def test_another_threshold_is_the_same_extractor_and_other_weights_are_not(model: SpeakerModel) -> None:
    same = SpeakerModel(model.encoder, SMALL, threshold=0.9, calibration=(1.0, 0.0))
    torch.manual_seed(1)
    other = SpeakerModel(build_network(SMALL), SMALL, threshold=0.4, calibration=(9.0, -3.0))
    assert same.extractor_digest == model.extractor_digest != other.extractor_digest
    assert len(model.extractor_digest) == 12


def test_log_odds_are_stored_and_are_no_part_of_the_extractor(model: SpeakerModel, tmp_path: Path) -> None:
    log_odds = LogOdds(0.5, (-1.0, 2.0, 3.0, 4.0, -5.0))
    SpeakerModel(model.encoder, SMALL, threshold=0.4, calibration=(9.0, -3.0), log_odds=log_odds).save(tmp_path)
    again = SpeakerModel.load(tmp_path)
    assert again.log_odds == log_odds
    assert again.extractor_digest == model.extractor_digest


def test_a_cohort_is_stored_beside_the_weights_and_is_no_part_of_the_extractor(
    model: SpeakerModel, tmp_path: Path
) -> None:
    strangers = np.random.default_rng(0).standard_normal((5, 16)).astype(np.float16).astype(np.float32)
    with_cohort = SpeakerModel(
        model.encoder, SMALL, threshold=0.4, calibration=(9.0, -3.0), cohort=Cohort(strangers, 3, 2.5, (1.5, -2.0))
    )
    with_cohort.save(tmp_path)
    again = SpeakerModel.load(tmp_path)
    assert again.cohort is not None
    assert (again.cohort.nearest, again.cohort.threshold, again.cohort.calibration) == (3, 2.5, (1.5, -2.0))
    np.testing.assert_array_equal(again.cohort.vectors, strangers)
    assert again.extractor_digest == model.extractor_digest


def test_the_centre_is_stored_and_no_part_of_the_extractor(model: SpeakerModel, tmp_path: Path) -> None:
    centre = np.linspace(-0.2, 0.2, 16, dtype=np.float32)
    SpeakerModel(model.encoder, SMALL, threshold=0.4, calibration=(9.0, -3.0), centre=centre).save(tmp_path)
    again = SpeakerModel.load(tmp_path)
    np.testing.assert_allclose(again.centre, centre, atol=1e-5, rtol=0)
    assert _load_pyfunc(str(tmp_path)).centre.shape == (16,)
    assert again.extractor_digest == model.extractor_digest
    assert not model.centre.any()


def test_older_models_keep_their_digest_and_joined_frames_halve_their_number() -> None:
    older = fingerprint(OlderConfig())
    assert EncoderConfig().fingerprint() == older
    assert replace(EncoderConfig(), frames_joined=2).fingerprint() != older
    heard = padded_noise(8_000)[0]
    bands, joined = (spectrogram(heard, replace(SMALL, frames_joined=n)) for n in (1, 2))
    assert torch.equal(joined[:, 0], bands[:, :2].flatten(1))
    assert joined.shape[1:] == (bands.shape[1] // 2, 160)


def test_scores_are_cosines_unless_the_model_normalises(model: SpeakerModel) -> None:
    voices = np.eye(3, 16, dtype=np.float32)
    cohort = Cohort(np.ones((4, 16), np.float32) / 4 + np.eye(4, 16, dtype=np.float32), nearest=4)
    plain, scaled = (
        SpeakerModel(model.encoder, SMALL, threshold=0.4, calibration=(9, -3), cohort=cohort, normalised=choice)
        for choice in (False, True)
    )
    assert plain.decision == (0.4, (9, -3))
    assert scaled.decision == (cohort.threshold, cohort.calibration)
    np.testing.assert_allclose(plain.scores(voices, voices), np.eye(3))
    np.testing.assert_allclose(scaled.scores(voices, voices), cohort.scores(voices, voices))


def test_missing_and_broken_folders_say_what_was_expected(model: SpeakerModel, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a speaker model .*models train speaker"):
        SpeakerModel.load(tmp_path / "none")
    model.save(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="expected a speaker model"):
        SpeakerModel.load(tmp_path)


def test_pyfunc_takes_and_gives_arrays(model: SpeakerModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    served = _load_pyfunc(str(tmp_path))
    waveform, lengths = padded_noise(9_000, 4_000)
    embedded = served.predict({"waveform": waveform.numpy(), "lengths": lengths.numpy()})
    assert isinstance(embedded, np.ndarray)
    assert embedded.dtype == np.float32
    expected = SpeakerModel.load(tmp_path).embed(waveform, lengths).numpy()
    np.testing.assert_allclose(embedded, expected, atol=1e-4)
    assert (served.threshold, served.calibration, served.dim) == (0.4, (9.0, -3.0), 16)
    assert served.extractor_digest == model.extractor_digest


def test_shipped_model_is_small_and_says_what_it_is() -> None:
    folder = WEIGHTS / "speaker"
    model = SpeakerModel.load(folder)
    config = json.loads((folder / "config.json").read_text())
    assert (folder / "weights.safetensors").stat().st_size < 12_000_000
    assert config["extractor_digest"] == model.extractor_digest
    assert -1 < model.threshold < 1
    assert model.calibration[0] > 0
    assert len(model.trained_on) == config["training"]["n_clips"]
    assert "CC BY-NC-SA 4.0" in (folder / "README.md").read_text()
