"""Corpus of synthetic voices: harmonics through a speaker's own resonance, shifted by the emotion."""

import csv
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from helpers.wespeaker import write_pyannote

from data_contracts.fingerprint import digest
from models.data import labelled_speech
from models.data.labelled_speech import Speech
from models.data.labels_file import Clip

RATE = 16_000
_MOODS = {  # pitch, loudness, pace in Hz, breath
    "anger": (1.6, 0.3, 6.0, 0.01),
    "happiness": (1.3, 0.15, 12.0, 0.01),
    "neutral": (1.0, 0.1, 3.0, 0.2),
    "sadness": (0.9, 0.04, 2.0, 0.01),
}


def voice(speaker: int, emotion: str, *, seconds: float, seed: int) -> np.ndarray:
    """Return (time,) float32: pitch, resonance and tilt by speaker, height, loudness, pace and breath by emotion."""
    height, loudness, pace, breath = _MOODS[emotion]
    random = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE)) / RATE
    f0_hz = (140 + 6 * speaker) * height * (1 + 0.03 * np.sin(2 * np.pi * pace * time_s + random.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE
    resonance_hz = 500 + 310 * speaker
    sound = sum(
        np.exp(-(((n * 120 - resonance_hz) / 400) ** 2)) * np.sin(n * phase) + np.sin(n * phase) / n**2
        for n in range(1, 30)
    )
    sound = sound * (0.6 + 0.4 * np.sin(2 * np.pi * pace * time_s)) + breath * random.standard_normal(len(time_s))
    return np.asarray(loudness * sound / np.abs(sound).max(), np.float32)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Run on one core: faster for networks this small, and the same on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two corpora of four speakers, two clips an emotion each."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = []
    for corpus_name in ("lab", "street"):
        for speaker in range(4):
            for emotion in _MOODS:
                for take in range(2):
                    path = f"{corpus_name}-{speaker}-{emotion}-{take}.wav"
                    sound = voice(speaker, emotion, seconds=1.2 + 0.2 * take, seed=zlib.crc32(path.encode()))
                    sf.write(folder / path, sound, RATE)
                    rows.append((path, f"{corpus_name}{speaker}", emotion, corpus_name, "other"))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "speaker", "emotion", "corpus", "whatever"), *rows])
    return folder


@pytest.fixture
def _all_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the whole clip as speech: the detector does not accept the synthetic voices."""
    from features.segmentation.segments import Span

    monkeypatch.setattr(
        labelled_speech,
        "find_speech_spans",
        lambda waveforms, *_: [[Span(0.0, len(waveform) / RATE)] for waveform in waveforms],
    )


@pytest.fixture
def spoken() -> Callable[..., Speech]:
    """Return a function that makes a labelled clip of a waveform, without a file."""

    def make(waveform: np.ndarray, *, speaker: str, corpus: str = "lab") -> Speech:
        return Speech(Clip(Path("x.wav"), speaker, "", corpus), digest(waveform.tobytes(), 12), waveform)

    return make


_ECAPA = """\
# As SpeechBrain publishes spkrec-ecapa-voxceleb, with fewer channels.
pretrained_path: speechbrain/spkrec-ecapa-voxceleb
n_mels: 20
out_n_neurons: 7
emb_dim: 16
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [8, 8, 8, 8, 24]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    groups: [1, 1, 1, 1, 1]
    attention_channels: 8
    se_channels: 8
    lin_neurons: !ref <emb_dim>
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: !ref <emb_dim>
    out_neurons: !ref <out_n_neurons>
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        mean_var_norm_emb: !ref <mean_var_norm_emb>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        mean_var_norm_emb: !ref <pretrained_path>/mean_var_norm_emb.ckpt
        classifier: !ref <pretrained_path>/classifier.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""
_IEMOCAP = """\
# As SpeechBrain publishes emotion-recognition-wav2vec2-IEMOCAP.
pretrained_path: speechbrain/emotion-recognition-wav2vec2-IEMOCAP
wav2vec2_hub: facebook/wav2vec2-base
wav2vec2_folder: wav2vec2_checkpoints
encoder_dim: 64
out_n_neurons: 4
wav2vec2: !new:speechbrain.lobes.models.huggingface_transformers.wav2vec2.Wav2Vec2
    source: !ref <wav2vec2_hub>
    output_norm: True
    freeze: True
    save_path: !ref <wav2vec2_folder>
avg_pool: !new:speechbrain.nnet.pooling.StatisticsPooling
    return_std: False
output_mlp: !new:speechbrain.nnet.linear.Linear
    input_size: !ref <encoder_dim>
    n_neurons: !ref <out_n_neurons>
    bias: False
model: !new:torch.nn.ModuleList
    - [!ref <output_mlp>]
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
"""
_LABELS = "'neu' => 0\n'ang' => 1\n'hap' => 2\n'sad' => 3\n================\n'starting_index' => 0\n"
_CODE = "import pathlib\npathlib.Path('code-was-run').touch()\n"
WAV2VEC2 = {
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 40,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 12,
}
"""A wav2vec2 in all but size."""


@pytest.fixture(scope="session")
def ecapa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a speaker encoder in the published layout, with random weights."""
    from models.speechbrain_compat import speechbrain_importable

    with speechbrain_importable():
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, Classifier
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("ecapa")
    (folder / "hyperparams.yaml").write_text(_ECAPA)
    network = ECAPA_TDNN(20, channels=[8, 8, 8, 8, 24], attention_channels=8, se_channels=8, lin_neurons=16)
    torch.save(network.state_dict(), folder / "embedding_model.ckpt")
    torch.save(Classifier(16, out_neurons=7).state_dict(), folder / "classifier.ckpt")
    statistics = {"count": 3, "glob_mean": torch.zeros(16), "glob_std": torch.ones(16), "spk_dict_mean": {}}
    torch.save(statistics, folder / "mean_var_norm_emb.ckpt")
    (folder / "label_encoder.txt").write_text(
        "".join(f"'id{n}' => {n}\n" for n in range(7)) + "================\n'starting_index' => 0\n"
    )
    (folder / "README.md").write_text('---\nlicense: "apache-2.0"\n---\n# ECAPA\n')
    return folder


@pytest.fixture(scope="session")
def iemocap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an emotion model in SpeechBrain's published layout, with code beside it."""
    from models.speechbrain_compat import speechbrain_importable

    with speechbrain_importable():  # parts of it import torchaudio
        import transformers
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("iemocap")
    (folder / "hyperparams.yaml").write_text(_IEMOCAP)
    encoder = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**WAV2VEC2))
    torch.save({f"model.{name}": value for name, value in encoder.state_dict().items()}, folder / "wav2vec2.ckpt")
    torch.save({"0.w.weight": torch.randn(4, 64)}, folder / "model.ckpt")
    (folder / "label_encoder.txt").write_text(_LABELS)
    (folder / "custom_interface.py").write_text(_CODE)
    return folder


@pytest.fixture(scope="session")
def wespeaker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a speaker encoder in pyannote's published layout, with random weights."""
    return write_pyannote(tmp_path_factory.mktemp("wespeaker"))
