"""WeSpeaker's published layouts with random weights: what they compute, and that nothing of theirs is run."""

from pathlib import Path

import pytest
import torch
import yaml
from helpers.sound import padded_noise
from helpers.wespeaker import wespeaker_tensors
from torch.nn import functional

from data_contracts.errors import ModelError
from models.pretrained import from_wespeaker
from models.pretrained.speaker import PretrainedSpeaker
from models.wespeaker.fbank import kaldi_fbank

NATIVE = {
    "model": "ResNet34",
    "model_args": {"feat_dim": 16, "embed_dim": 16, "pooling_func": "TSTP", "two_emb_layer": False},
    "dataset_args": {
        "fbank_args": {"num_mel_bins": 16, "frame_shift": 10, "frame_length": 25, "dither": 1.0},
        "cmvn_args": {"norm_mean": True, "norm_var": False},
        "speed_perturb": True,
    },
    "exp_dir": "exp/voxceleb",
}


def native(folder: Path, tensors: dict, config: dict | None = None) -> Path:
    """Write a folder as WeSpeaker publishes one: avg_model.pt has the projection of the training, too."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(NATIVE | (config or {})))
    torch.save({**tensors, "projection.weight": torch.zeros(7, 16)}, folder / "avg_model.pt")
    return folder


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return wespeaker_tensors()


def by_hand(tensors: dict[str, torch.Tensor], bands: torch.Tensor) -> torch.Tensor:
    """Compute the published network layer by layer, batch normalisation by itself."""

    def step(x: torch.Tensor, conv: str, norm: str, stride: int, pad: int = 1) -> torch.Tensor:
        x = functional.conv2d(x, tensors[f"{conv}.weight"], stride=stride, padding=pad)
        values = (tensors[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *values)

    x = step(bands.transpose(1, 2)[:, None], "conv1", "bn1", 1).relu()
    for stage, n_blocks in enumerate((1, 2, 1, 1), 1):
        for block in range(n_blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and not block else 1
            inner = step(step(x, f"{name}.conv1", f"{name}.bn1", stride).relu(), f"{name}.conv2", f"{name}.bn2", 1)
            if f"{name}.shortcut.0.weight" in tensors:
                x = step(x, f"{name}.shortcut.0", f"{name}.shortcut.1", stride, 0)
            x = (inner + x).relu()
    pooled = torch.cat([x.mean(-1).flatten(1), (x.var(-1) + 1e-8).sqrt().flatten(1)], dim=1)
    return functional.normalize(functional.linear(pooled, tensors["seg_1.weight"], tensors["seg_1.bias"]))


def test_both_layouts_say_what_the_published_network_says(wespeaker, tensors, tmp_path):
    waveform, lengths = padded_noise(9_000, 16_000)
    pyannote = from_wespeaker.convert_speaker(wespeaker, training={})
    own = from_wespeaker.convert_speaker(native(tmp_path / "own", tensors), training={})
    assert pyannote.extractor_digest == own.extractor_digest
    found = pyannote.embed(waveform, lengths)
    for row, length in enumerate(lengths.tolist()):
        expected = by_hand(tensors, kaldi_fbank(waveform[row : row + 1, :length], lengths[row : row + 1], 16))
        torch.testing.assert_close(found[row : row + 1], expected, atol=1e-4, rtol=0)


def test_what_is_saved_is_what_is_loaded(wespeaker, tmp_path):
    speaker = from_wespeaker.convert_speaker(wespeaker, training={})
    speaker.save(tmp_path)
    again, noise = PretrainedSpeaker.load(tmp_path), padded_noise(9_000, 16_000)
    assert torch.equal(again.embed(*noise), speaker.embed(*noise))
    assert (again.extractor_digest, again.dim) == (speaker.extractor_digest, 16)


def test_a_window_of_a_whole_recording_is_its_embedding(wespeaker):
    speaker = from_wespeaker.convert_speaker(wespeaker, training={})
    waveform, lengths = padded_noise(32_000)
    ((windows,),) = speaker.sliding_embeddings(waveform, lengths, [2.0], 0.25)
    torch.testing.assert_close(windows, speaker.embed(waveform, lengths), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model": "CAMPPlus"}, r"expected a ResNet18 or ResNet34 .*config.yaml, found CAMPPlus"),
        ({"model_args": {"two_emb_layer": True}}, r"expected two_emb_layer False .* found True"),
        ({"dataset_args": {"resample_rate": 8_000}}, r"expected resample_rate 16000 .* found 8000"),
        ({"dataset_args": {"cmvn_args": {"norm_var": True}}}, r"expected norm_var False .* found True"),
        (
            {"model_args": {"feat_dim": 40}, "dataset_args": {}},
            r"(?s)expected the weights of a ResNet of .*: fetch it again",
        ),
    ],
)
def test_another_network_or_input_is_refused(tensors, tmp_path, config, words):
    with pytest.raises(ModelError, match=words):
        from_wespeaker.convert_speaker(native(tmp_path / "it", tensors, config), training={})


def test_a_tensor_that_is_missing_is_named(tensors, tmp_path):
    del tensors["layer2.0.bn1.running_var"]
    with pytest.raises(ModelError, match=r"avg_model\.pt; 'layer2\.0\.bn1\.running_var' is missing: pull"):
        from_wespeaker.convert_speaker(native(tmp_path / "it", tensors), training={})


class _Trap:
    def __reduce__(self):
        return Path.touch, (Path("code-was-run"),)


@pytest.mark.parametrize("where", ["state_dict", "pyannote.audio"])
def test_a_pickled_object_is_not_opened(wespeaker, tensors, tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text((wespeaker / "config.yaml").read_text())
    torch.save({"state_dict": tensors, where: {"it": _Trap()}}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="Only tensors are read"):
        from_wespeaker.convert_speaker(tmp_path, training={})
    assert not (tmp_path / "code-was-run").exists()
