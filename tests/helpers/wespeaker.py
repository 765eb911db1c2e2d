"""WeSpeaker's ResNet in all but size, in the layouts that it is published in."""

import sys
import types
from pathlib import Path

import pytest
import torch

_WESPEAKER = """\
# As pyannote publishes wespeaker-voxceleb-resnet34-LM.
model:
  _target_: pyannote.audio.models.embedding.WeSpeakerResNet34
  sample_rate: 16000
  num_channels: 1
  num_mel_bins: 16
  frame_length: 25
  frame_shift: 10
  dither: 0.0
  window_type: "hamming"
  use_energy: false
"""


def wespeaker_tensors(blocks: tuple[int, ...] = (1, 2, 1, 1), channels: int = 4, n_bands: int = 16) -> dict:
    """Return tensors of a small ResNet under WeSpeaker's names, as after training: the norms know more than 0 and 1."""
    generator = torch.Generator().manual_seed(0)

    def norm(name: str, n: int) -> dict[str, torch.Tensor]:
        return {
            f"{name}.weight": 1 + 0.2 * torch.randn(n, generator=generator),
            f"{name}.bias": 0.2 * torch.randn(n, generator=generator),
            f"{name}.running_mean": 0.2 * torch.randn(n, generator=generator),
            f"{name}.running_var": 0.5 + torch.rand(n, generator=generator),
            f"{name}.num_batches_tracked": torch.tensor(9),
        }

    def conv(n_out: int, n_in: int, size: int) -> torch.Tensor:
        return torch.randn(n_out, n_in, size, size, generator=generator) / (size * n_in**0.5)

    tensors = {"conv1.weight": conv(channels, 1, 3), **norm("bn1", channels)}
    n_in = channels
    for stage, n_blocks in enumerate(blocks):
        n_out = channels * 2**stage
        for block in range(n_blocks):
            name = f"layer{stage + 1}.{block}"
            tensors |= {f"{name}.conv1.weight": conv(n_out, n_in, 3), **norm(f"{name}.bn1", n_out)}
            tensors |= {f"{name}.conv2.weight": conv(n_out, n_out, 3), **norm(f"{name}.bn2", n_out)}
            if n_in != n_out:
                tensors |= {f"{name}.shortcut.0.weight": conv(n_out, n_in, 1), **norm(f"{name}.shortcut.1", n_out)}
            n_in = n_out
    n_pooled = 2 * 8 * channels * n_bands // 8
    tensors["seg_1.weight"] = torch.randn(16, n_pooled, generator=generator) / n_pooled**0.5
    tensors["seg_1.bias"] = torch.randn(16, generator=generator)
    return tensors


def write_pyannote(folder: Path) -> Path:
    """Writes config.yaml and a checkpoint of Lightning, with an object of a class that is not installed."""
    (folder / "config.yaml").write_text(_WESPEAKER)
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# WeSpeaker\n")
    module = types.ModuleType("pyannote.audio.core.task")
    module.Specifications = type("Specifications", (), {"__module__": module.__name__})
    specifications = module.Specifications()
    specifications.duration = 5.0
    checkpoint = {
        "state_dict": {f"resnet.{name}": value for name, value in wespeaker_tensors().items()},
        "hyper_parameters": {"sample_rate": 16_000, "num_mel_bins": 16, "window_type": "hamming", "use_energy": False},
        "pytorch-lightning_version": "2.1.0",
        "pyannote.audio": {"versions": {"torch": torch.__version__}, "specifications": specifications},
    }
    with pytest.MonkeyPatch.context() as patch:
        parts = module.__name__.split(".")
        for n in range(1, len(parts)):
            patch.setitem(sys.modules, ".".join(parts[:n]), types.ModuleType(parts[n - 1]))
        patch.setitem(sys.modules, module.__name__, module)
        torch.save(checkpoint, folder / "pytorch_model.bin")
    return folder
