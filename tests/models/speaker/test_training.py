"""Training of the speaker encoder on synthetic voices: it learns, repeats, and refuses impossible data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import UsageError
from models.data.labelled_speech import Speech
from models.speaker import training as speaker
from models.speaker.crops import Crops
from models.speaker.encoder import EncoderConfig
from models.speaker.model import SpeakerModel
from models.speaker.recipe import SpeakerRecipe

pytestmark = pytest.mark.usefixtures("_all_is_speech")

TINY = EncoderConfig(dim=16, channels=16, merged_channels=24, attention_channels=8, window_s=0.5)
FAST = SpeakerRecipe(steps=8, batch=12, speeds=(0.9, 1.0), copies=2, shortest_s=0.3, average=0.5)


def test_training_learns_and_holds_voices_out(corpus: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    recipe = SpeakerRecipe(
        steps=25, batch=16, speeds=(0.9, 1.0, 1.1), copies=2, margin=0.0, shortest_s=0.3, held_out=0.5, average=0.5
    )
    metrics = speaker.train_speaker(
        [corpus], tmp_path, recipe=recipe, encoder=TINY, progress=lambda _, loss, __: losses.append(loss)
    )
    model = SpeakerModel.load(tmp_path)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert 0 <= metrics["eer"] <= 1
    assert 0 <= metrics["top1"] <= 1
    assert model.training["n_speakers"] == 4
    assert len(model.training["held_out_speakers"]) == 4
    assert len(model.trained_on) == model.training["n_clips"] == 32
    assert model.training["licences"] == {"lab": [""], "street": [""]}
    assert len(model.training["manifest"]) == 12
    assert model.training["false_accept_rate"] == 0.01
    assert np.isfinite(model.calibration).all()
    assert model.normalised
    assert model.cohort is not None
    assert np.isfinite([model.cohort.threshold, *model.cohort.calibration]).all()
    assert model.cohort.vectors.shape == (4, 16)


def test_training_is_reproducible(corpus: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        speaker.train_speaker([corpus], tmp_path / name, seed=3, recipe=FAST, encoder=TINY)
    for file in ("weights.safetensors", "config.json", "trained_on.txt"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_too_few_speakers_are_refused(corpus: Path, tmp_path: Path) -> None:
    recipe = SpeakerRecipe(steps=1, held_out=0.75)
    with pytest.raises(UsageError, match=r"at least 5 speakers in the corpus 'lab'.*found 4"):
        speaker.train_speaker([corpus], tmp_path, recipe=recipe, encoder=TINY)


def test_held_out_share_is_rounded_up_in_each_corpus(spoken: Callable[..., Speech]) -> None:
    speech = [
        spoken(np.zeros(9, np.float32), speaker=f"{corpus}{n:02}", corpus=corpus)
        for corpus, count in (("a", 16), ("b", 10))
        for n in range(count)
    ]
    held = speaker.held_out_speakers(speech, share=0.13, seed=0)
    assert [sum(name.startswith(corpus) for name in held) for corpus in "ab"] == [3, 2]
    assert held == speaker.held_out_speakers(speech[::-1], share=0.13, seed=0)


def test_a_crop_is_its_speakers_and_short_ones_are_repeated(spoken: Callable[..., Speech]) -> None:
    speech = [spoken(np.full(4_000, level, np.float32), speaker=who) for level, who in ((0.5, "a"), (-0.5, "b"))]
    crops = Crops(speech, recipe=SpeakerRecipe(speeds=(1.0,), copies=1), window=8_000, seed=0)
    waveform, classes = crops.draw(20)
    assert waveform.shape == (20, 8_000)
    assert set(classes.tolist()) == {0, 1}
    assert bool(((waveform > 0) == (classes == 0)[:, None]).all())


def test_every_speed_is_another_voice_and_much_speech_is_drawn_often(spoken: Callable[..., Speech]) -> None:
    random = np.random.default_rng(0)
    speech = [
        spoken(0.1 * random.standard_normal(n).astype(np.float32), speaker=who)
        for n, who in ((64_000, "a"), (4_000, "b"))
    ]
    crops = Crops(
        speech,
        recipe=SpeakerRecipe(speeds=(0.8, 1.0, 1.25), copies=2, favour=0.5, coded=1.0, shortest_s=0.1),
        window=4_000,
        seed=0,
    )
    assert crops.n_classes == 6
    _, classes = crops.draw(600)
    counts = np.bincount(classes.numpy(), minlength=6)
    assert (counts > 0).all()
    assert counts[::2].sum() / counts[1::2].sum() == pytest.approx(4, rel=0.4)  # the root of 16 times the speech
