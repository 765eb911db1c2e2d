"""Audio-classification folders of transformers with random weights: extractor and head give the same logits."""

import json
from pathlib import Path

import pytest
import torch
from helpers.sound import padded_noise
from safetensors.torch import load_file, save_file

from data_contracts.errors import ModelError
from models.pretrained import from_transformers
from models.pretrained.emotion import PretrainedEmotion
from models.speechbrain_compat import speechbrain_importable

with speechbrain_importable():  # parts of it import torchaudio
    import transformers

LENGTHS = (7_000, 16_000, 21_111)
LABELS = {0: "angry", 1: "hap", 2: "Calm Voice", 3: "sad"}
SPEECH = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 37,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 24,
    "id2label": LABELS,
}
IMAGE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 20}
WHISPER = {
    **{"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 20, "decoder_layers": 1},
    **{"decoder_attention_heads": 2, "decoder_ffn_dim": 20, "num_mel_bins": 80, "classifier_proj_size": 12},
    **{"vocab_size": 30, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
    "use_weighted_layer_sum": True,
}


def _made(kind: str) -> tuple:
    if kind == "ast":
        config = transformers.ASTConfig(**IMAGE, max_length=64, num_mel_bins=32, id2label=LABELS)
        return config, transformers.ASTFeatureExtractor(max_length=64, num_mel_bins=32)
    if kind == "whisper":
        config = transformers.WhisperConfig(**WHISPER, id2label=LABELS)
        return config, transformers.WhisperFeatureExtractor()
    stable = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"} if kind == "wavlm" else {}
    return transformers.AutoConfig.for_model(kind, **SPEECH, **stable), transformers.Wav2Vec2FeatureExtractor()


def _saved(kind: str, folder: Path) -> tuple:
    torch.manual_seed(0)
    config, preprocessor = _made(kind)
    network = transformers.AutoModelForAudioClassification.from_config(config).eval()
    network.save_pretrained(folder)
    preprocessor.save_pretrained(folder)
    return network, preprocessor


@pytest.fixture(scope="module")
def noise() -> tuple[torch.Tensor, torch.Tensor]:
    return padded_noise(*LENGTHS)


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm", "ast", "whisper"])
def test_extractor_and_head_say_what_the_whole_says(kind, noise, tmp_path):
    """Also: a batch is what each utterance is alone, and padding is not heard."""
    network, preprocessor = _saved(kind, tmp_path / "source")
    from_transformers.convert_emotion(tmp_path / "source", tmp_path / "model", training={})
    model = PretrainedEmotion(tmp_path / "model")
    assert model.classes == ("anger", "happiness", "calm_voice", "sadness")
    waveform, lengths = noise[0].clone(), noise[1]
    for row, length in enumerate(lengths.tolist()):
        waveform[row, length:] = float("nan")
    vectors = model.embed(waveform, lengths)
    assert vectors.shape == (3, model.dim)
    assert vectors.dtype == torch.float32
    found = model.scores(vectors)
    for row, length in enumerate(lengths.tolist()):
        alone = noise[0][row, :length]
        torch.testing.assert_close(model.embed(alone[None], lengths[row : row + 1])[0], vectors[row])
        shown = preprocessor(alone.numpy(), sampling_rate=16_000, return_tensors="pt")
        with torch.inference_mode():
            logits = network(next(iter(shown.values()))).logits[0]
        torch.testing.assert_close(found[row], logits.softmax(-1).double(), atol=1e-4, rtol=0)


def test_a_short_utterance_has_a_vector(tmp_path):
    _saved("wav2vec2", tmp_path / "source")
    from_transformers.convert_emotion(tmp_path / "source", tmp_path / "model", training={})
    assert PretrainedEmotion(tmp_path / "model").embed(torch.zeros(2, 300), torch.tensor([0, 300])).isfinite().all()


@pytest.fixture
def dimensional(tmp_path) -> tuple[Path, dict[str, torch.Tensor]]:
    """audeering's layout: `wav2vec2.*`, `classifier.dense`, `classifier.out_proj`."""
    torch.manual_seed(0)
    folder = tmp_path / "source"
    values = SPEECH | {"id2label": {0: "arousal", 1: "dominance", 2: "valence"}}
    encoder = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**values)).eval()
    state = {f"wav2vec2.{name}": value for name, value in encoder.state_dict().items()}
    for name, width in (("dense", 32), ("out_proj", 3)):
        state |= {f"classifier.{name}.weight": torch.randn(width, 32), f"classifier.{name}.bias": torch.randn(width)}
    folder.mkdir()
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "model.safetensors")
    config = json.loads(encoder.config.to_json_string()) | {"architectures": ["Wav2Vec2ForSpeechClassification"]}
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "modeling.Trap"}}))
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder, state


def test_dimensions_in_audeerings_layout(dimensional, noise, tmp_path):
    folder, state = dimensional
    from_transformers.convert_emotion(folder, tmp_path / "model", training={})
    model = PretrainedEmotion(tmp_path / "model")
    assert (model.classes, model.dimensions) == ((), ("arousal", "dominance", "valence"))
    network = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**SPEECH)).eval()
    network.load_state_dict({k.removeprefix("wav2vec2."): v for k, v in state.items() if k.startswith("wav2vec2")})
    waveform, lengths = noise
    found = model.scores(model.embed(waveform, lengths))
    samples = waveform[0, : lengths[0]]
    shown = transformers.Wav2Vec2FeatureExtractor()(samples.numpy(), sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        pooled = network(shown["input_values"]).last_hidden_state.mean(1)
        dense = torch.tanh(pooled @ state["classifier.dense.weight"].T + state["classifier.dense.bias"])
        expected = dense @ state["classifier.out_proj.weight"].T + state["classifier.out_proj.bias"]
    torch.testing.assert_close(found[0], expected[0].double(), atol=1e-4, rtol=0)


def test_another_pooling_is_refused(dimensional, tmp_path):
    folder, _ = dimensional
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"pooling_mode": "max"}))
    with pytest.raises(ModelError, match="pooling_mode mean"):
        from_transformers.convert_emotion(folder, tmp_path / "model", training={})


def test_weights_that_torch_saved_are_read_as_tensors_only(tmp_path, monkeypatch):
    folder = tmp_path / "source"
    _saved("wav2vec2", folder)
    from_transformers.convert_emotion(folder, tmp_path / "first", training={})
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    from_transformers.convert_emotion(folder, tmp_path / "second", training={})
    first, second = (PretrainedEmotion(tmp_path / name).config for name in ("first", "second"))
    assert first["extractor_digest"] == second["extractor_digest"]
    monkeypatch.chdir(tmp_path)
    torch.save({"x": _Trap()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="Only tensors are read"):
        from_transformers.convert_emotion(folder, tmp_path / "third", training={})
    assert not (tmp_path / "code-was-run").exists()


class _Trap:
    def __reduce__(self):
        return Path.touch, (Path("code-was-run"),)


def test_another_architecture_is_refused(tmp_path):
    folder = tmp_path / "source"
    transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**SPEECH, vocab_size=5)).save_pretrained(folder)
    with pytest.raises(ModelError, match=r"expected an audio-classification model .* found Wav2Vec2ForCTC"):
        from_transformers.convert_emotion(folder, tmp_path / "model", training={})


def test_an_untrained_head_is_refused(tmp_path):
    folder = tmp_path / "source"
    _saved("wav2vec2", folder)
    state = {k: v for k, v in load_file(folder / "model.safetensors").items() if not k.startswith("classifier")}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"expected all weights .* found none for classifier"):
        from_transformers.convert_emotion(folder, tmp_path / "model", training={})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"id2label": {"0": "Arousal", "1": "pleasure"}}, [("Arousal", "arousal"), ("pleasure", "valence")]),
        ({"id2label": {"0": "ps", "1": "surprised"}}, [("ps", "ps"), ("surprised", "surprised")]),
        ({}, [("LABEL_0", "label_0"), ("LABEL_1", "label_1")]),
    ],
)
def test_labels_in_our_words(values, expected):
    assert from_transformers.output_labels(values, n=2) == expected


@pytest.mark.parametrize(
    "values", [{"id2label": {"0": "x", "1": "X"}}, {"problem_type": "regression"}, {"id2label": {"0": "", "1": "a"}}]
)
def test_labels_that_cannot_be_columns_are_refused(values):
    with pytest.raises(ModelError, match="id2label"):
        from_transformers.output_labels(values, n=2)
