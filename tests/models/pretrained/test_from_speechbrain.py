"""SpeechBrain's published layouts with random weights: loaded by its own loaders, none of their code run."""

import json
import shutil

import numpy as np
import pytest
import torch
from helpers.sound import padded_noise

from data_contracts.errors import ModelError
from models.pretrained import from_speechbrain
from models.pretrained.emotion import PretrainedEmotion
from models.pretrained.speaker import PretrainedSpeaker
from models.speechbrain_compat import speechbrain_importable

LENGTHS = (9_000, 16_000, 23_456)


@pytest.fixture(scope="module")
def noise() -> tuple[torch.Tensor, torch.Tensor]:
    return padded_noise(*LENGTHS)


@pytest.fixture
def speaker(ecapa) -> PretrainedSpeaker:
    return from_speechbrain.convert_speaker(ecapa, training={})


def test_the_encoder_says_what_speechbrain_says(speaker, ecapa, noise, tmp_path):
    shutil.copytree(ecapa, tmp_path, dirs_exist_ok=True)
    with speechbrain_importable():
        from speechbrain.inference.classifiers import EncoderClassifier
        from speechbrain.utils.fetching import LocalStrategy
    own = EncoderClassifier.from_hparams(
        source=str(tmp_path),
        overrides={"pretrained_path": str(tmp_path)},
        local_strategy=LocalStrategy.NO_LINK,
        savedir=str(tmp_path),
    )
    waveform, lengths = noise
    for row, length in enumerate(lengths.tolist()):
        alone = waveform[row : row + 1, :length]
        expected = torch.nn.functional.normalize(own.encode_batch(alone)[:, 0])
        torch.testing.assert_close(speaker.embed(alone, lengths[row : row + 1]), expected, atol=1e-5, rtol=0)
    assert (speaker.dim, speaker.threshold) == (16, 0.25)


@pytest.mark.parametrize("n", [1, 3])
def test_batch_matches_single_and_padding_is_ignored(speaker, noise, n):
    waveform, lengths = noise[0][:n].clone(), noise[1][:n]
    for row, length in enumerate(lengths.tolist()):
        waveform[row, length:] = float("nan")
    together = speaker.embed(waveform, lengths)
    for row in range(n):
        alone = speaker.embed(noise[0][row : row + 1, : lengths[row]], lengths[row : row + 1])
        torch.testing.assert_close(together[row], alone[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(n))


def test_short_and_empty_utterances_have_a_vector(speaker):
    assert speaker.embed(torch.zeros(2, 300), torch.tensor([0, 300])).isfinite().all()


def test_what_is_saved_is_what_is_loaded(speaker, noise, tmp_path):
    speaker.save(tmp_path)
    again = PretrainedSpeaker.load(tmp_path)
    assert torch.equal(again.embed(*noise), speaker.embed(*noise))
    assert again.extractor_digest == speaker.extractor_digest
    assert (again.threshold, again.calibration) == (speaker.threshold, speaker.calibration)
    with pytest.raises(ModelError, match="expected a pulled speaker model"):
        PretrainedSpeaker.load(tmp_path / "none")


def test_an_encoder_that_would_run_code_is_not_handed_over(ecapa, tmp_path, monkeypatch):
    hostile = tmp_path / "hostile"
    shutil.copytree(ecapa, hostile)
    with (hostile / "hyperparams.yaml").open("a") as file:
        file.write("extra: !apply:os.system [touch code-was-run]\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"asks for '!apply:os.system', which would run code"):
        from_speechbrain.convert_speaker(hostile, training={})
    assert not (tmp_path / "code-was-run").exists()


class _Trap:
    def __reduce__(self):
        import pathlib

        return pathlib.Path.touch, (pathlib.Path("code-was-run"),)


def test_a_checkpoint_with_a_pickled_object_is_not_opened(ecapa, tmp_path, monkeypatch):
    hostile = tmp_path / "hostile"
    shutil.copytree(ecapa, hostile)
    torch.save({"weight": _Trap()}, hostile / "classifier.ckpt")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="Only tensors are read"):
        from_speechbrain.convert_speaker(hostile, training={})
    assert not (tmp_path / "code-was-run").exists()


def test_the_emotion_model_says_what_speechbrain_says(iemocap, noise, tmp_path, monkeypatch):
    """wav2vec2 through SpeechBrain's wrapper, its pooling, its linear layer: the published interface, by hand.

    Its pooling adds a little noise to each mean, so the two are alike and not the same.
    """
    monkeypatch.chdir(tmp_path)
    from_speechbrain.convert_emotion(iemocap, tmp_path / "model", training={})
    model = PretrainedEmotion(tmp_path / "model")
    assert model.classes == ("neutral", "anger", "happiness", "sadness")
    assert model.config["labels"]["ang"] == "anger"
    assert not (tmp_path / "code-was-run").exists()
    import transformers

    with speechbrain_importable():
        from speechbrain.integrations.huggingface.wav2vec2 import Wav2Vec2
        from speechbrain.nnet.pooling import StatisticsPooling
        from speechbrain.utils.checkpoints import torch_recovery
    config = transformers.Wav2Vec2Config(**{**model.config["extractor"]["transformers"], "attn_implementation": None})
    transformers.Wav2Vec2Model(config).save_pretrained(tmp_path / "encoder")
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(tmp_path / "encoder")
    own = Wav2Vec2(str(tmp_path / "encoder"), save_path=str(tmp_path), output_norm=True, freeze=True)
    torch_recovery(own, iemocap / "wav2vec2.ckpt", end_of_epoch=True)
    own.eval()
    weight = torch.load(iemocap / "model.ckpt")["0.w.weight"]
    waveform, lengths = noise
    found = model.scores(model.embed(waveform, lengths))
    for row, length in enumerate(lengths.tolist()):
        alone = waveform[row : row + 1, :length]
        pooled = StatisticsPooling(return_std=False)(own(alone), torch.ones(1))[:, 0]
        torch.testing.assert_close(found[row], (pooled @ weight.T)[0].softmax(-1).double(), atol=2e-3, rtol=0)


def test_a_configuration_beside_the_checkpoint_goes_before_the_shapes(iemocap, tmp_path):
    folder = tmp_path / "source"
    shutil.copytree(iemocap, folder)
    (folder / "wav2vec2").mkdir()
    (folder / "wav2vec2" / "config.json").write_text(
        json.dumps({"model_type": "wav2vec2", **_sizes(), "num_attention_heads": 2})
    )
    (folder / "wav2vec2" / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    from_speechbrain.convert_emotion(folder, tmp_path / "model", training={})
    extractor = PretrainedEmotion(tmp_path / "model").config["extractor"]
    assert extractor["transformers"]["num_attention_heads"] == 2
    assert extractor["norm_input"] is False


def test_without_any_the_hub_is_asked_for_the_encoder(iemocap, tmp_path):
    asked = []

    def encoder_from(named, to):
        asked.append(named)
        to.mkdir(parents=True)
        (to / "config.json").write_text(json.dumps({"model_type": "wav2vec2", **_sizes()}))

    from_speechbrain.convert_emotion(iemocap, tmp_path / "model", training={}, encoder_from=encoder_from)
    assert asked == ["facebook/wav2vec2-base"]


@pytest.mark.parametrize(
    ("name", "state", "message"),
    [
        ("model.ckpt", {"0.w.weight": torch.zeros(4, 64), "1.w.weight": torch.zeros(4, 4)}, "one linear layer"),
        ("model.ckpt", {"0.w.weight": torch.zeros(5, 64)}, "expected 5 labels"),
        ("wav2vec2.ckpt", {"model.x": torch.zeros(1)}, "expected the weights of a wav2vec2 encoder"),
    ],
)
def test_another_network_is_refused(iemocap, tmp_path, name, state, message):
    folder = tmp_path / "source"
    shutil.copytree(iemocap, folder)
    torch.save(state, folder / name)
    with pytest.raises(ModelError, match=message):
        from_speechbrain.convert_emotion(folder, tmp_path / "model", training={})


def _sizes():
    return {
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 40,
        "conv_dim": [8] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
    }


def test_scores_are_of_the_stored_vectors_alone(iemocap, tmp_path, noise):
    from_speechbrain.convert_emotion(iemocap, tmp_path, training={})
    vectors = PretrainedEmotion(tmp_path).embed(*noise)
    (tmp_path / "extractor.safetensors").unlink()
    scores = PretrainedEmotion(tmp_path).scores(vectors)
    np.testing.assert_allclose(scores.sum(1), 1.0)
    with pytest.raises(ModelError, match=r"expected vectors \(n, 64\)"):
        PretrainedEmotion(tmp_path).scores(vectors[:, :5])
