"""Training of the emotion extractor: the beginning of Whisper's encoder learns to say what its later layers say.

    python -m models.emotion.distillation --teacher FILE --corpus DIR --out DIR

Speech whose licence asks for attribution at most, and copies of some of it in other voices, is heard by the teacher as
it is and by the student through rooms, noise and telephone bands; the student's means over a crop, through a linear
head, approach the teacher's. Then the map to the stored vector is fitted: principal components of head and means.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from features.decode.config import SAMPLE_RATE
from features.dsp.batching import map_batches
from models.data.augmentation import background_noise, channel_gains, equaliser_gains, recolour, room_responses
from models.data.kept_out import is_kept_out
from models.data.labelled_speech import Speech, manifest_digest, read_speech
from models.data.labels_file import read_labels
from models.data.licences import is_restrictive
from models.data.pitch_shift import change_voice
from models.emotion.extractor import (
    EmotionExtractor,
    ExtractorConfig,
    FrameNetwork,
    at_fixed_level,
    cut_middle,
    spectrogram,
)
from models.emotion.teacher import Teacher

_FRAME = 640  # samples of a stored frame of the teacher: every second one
_LARGEST_DEVIATION = 0.25  # of a column of the vectors: compression leaves them nearly as they are
_LOW_CUT_HZ = 68.0  # below is what the pipeline takes away


@dataclass(frozen=True)
class DistillationRecipe:
    """Hyperparameters; the names of the fields are stored in `config.json`. Shares are of the crops."""

    steps: int = 320  # for which the schedule of the rate is made
    taken: int = 250  # of them
    batch_s: float = 48.0
    learning_rate: float = 5e-5
    crops_s: tuple[float, ...] = (1.2, 2.0, 3.2, 4.8)
    crop_shares: tuple[float, ...] = (0.1, 0.25, 0.35, 0.3)
    copies: tuple[tuple[str, int], ...] = (("emodb", 3), ("librispeech_train-clean-100", 1))  # of each clip
    clean: float = 0.35  # of the crops
    average: float = 0.995  # of the weights that are kept, the share of a step ago
    ridge: float = 0.3
    dim: int = 128


@dataclass(frozen=True)
class _Clip:
    waveform: np.ndarray  # (time,) float32 at the fixed level
    said: np.ndarray  # (time / _FRAME, teacher) float16


def distil(corpora: Sequence[Path], teacher_file: Path, out: Path, *, recipe: DistillationRecipe, seed: int) -> None:
    """Train an extractor on the speech of `corpora` and write it to `out`."""
    torch.manual_seed(seed)
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    clips = [
        c for c in read_labels(corpora) if not is_restrictive(c.licence) and not is_kept_out(_held_label(c.speaker))
    ]
    speech = [item for item in read_speech(clips) if len(item.waveform) >= recipe.crops_s[0] * SAMPLE_RATE / 3]
    teacher = Teacher(teacher_file)
    heard = list(_listen(speech, teacher, recipe, random, generator))
    network, head = FrameNetwork(ExtractorConfig()), nn.Linear(2 * ExtractorConfig().width, 2 * teacher.width)
    teacher.give(network)
    network = _train(network, head, heard, recipe, random, generator)
    extractor = fit_projection(network, head, [item.waveform for item in speech], recipe.dim)
    extractor.training = {
        "recipe": asdict(recipe),
        "seed": seed,
        "teacher": teacher_file.name,
        "manifest": manifest_digest(speech),
        "corpora": {
            name: sum(i.clip.corpus == name for i in speech) for name in sorted({i.clip.corpus for i in speech})
        },
        "licences": {i.clip.corpus: i.clip.licence for i in speech},
        "minutes": round(sum(len(item.waveform) for item in speech) / SAMPLE_RATE / 60, 1),
    }
    extractor.save(out)


def _held_label(speaker: str) -> str:
    """Return the label by which a voice is kept out; those of Emo-DB, ten in all, are heard without labels."""
    return "" if speaker.startswith("emodb") else speaker


def _listen(
    speech: Sequence[Speech],
    teacher: Teacher,
    recipe: DistillationRecipe,
    random: np.random.Generator,
    generator: torch.Generator,
) -> Iterator[_Clip]:
    """Yield every clip with what the teacher says of it, and copies in another voice, pitch and vocal effort."""
    copies = dict(recipe.copies)
    for item in speech:
        yield _Clip(at_fixed_level(item.waveform), teacher.frames(item.waveform)[::2].half().numpy())
        for _ in range(copies.get(item.clip.corpus, 0)):
            speed, pitch = math.exp(random.uniform(-0.2, 0.2)), 2 ** random.uniform(-0.3, 0.6)
            moved = torch.from_numpy(change_voice(item.waveform, speed=speed, pitch=pitch))[None]
            other = recolour(moved, generator)[0].numpy()
            yield _Clip(at_fixed_level(other), teacher.frames(other)[::2].half().numpy())


def _train(
    network: FrameNetwork,
    head: nn.Linear,
    clips: Sequence[_Clip],
    recipe: DistillationRecipe,
    random: np.random.Generator,
    generator: torch.Generator,
) -> FrameNetwork:
    """Return the network averaged over the steps; `head` is trained in place."""
    mean, scale, spread = _statistics(clips, random)

    def draw() -> tuple[Tensor, Tensor]:
        seconds = recipe.crops_s[random.choice(len(recipe.crops_s), p=recipe.crop_shares)]
        waveform, said = _crops(clips, seconds, max(8, round(recipe.batch_s / seconds)), random)
        return waveform, ((said - mean) / scale).mean(1)

    _solve_head(head, network, [draw() for _ in range(14)], recipe.ridge)
    groups = [{"params": network.parameters(), "times": 1.0}, {"params": head.parameters(), "times": 2.0}]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.0)
    averaged = {name: value.clone() for name, value in network.state_dict().items()}
    for step in range(recipe.taken):
        waveform, target = draw()
        rate = recipe.learning_rate * min(1, (step + 1) / 40) * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * group["times"]
        heard = disturb(waveform, generator, clean=recipe.clean)
        bands, n_frames = spectrogram(heard, torch.full((len(heard),), heard.shape[1]), network.config)
        with torch.autocast("cpu", torch.bfloat16):
            pooled = network(bands, n_frames)
        loss = ((head(pooled.float()) - target) / spread).square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*network.parameters(), *head.parameters()], 1.0)
        optimiser.step()
        kept = min(recipe.average, (step + 1) / (step + 20))
        for name, value in network.state_dict().items():
            averaged[name].lerp_(value, 1 - kept)
    network.load_state_dict(averaged)
    return network.eval()


def _statistics(clips: Sequence[_Clip], random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and deviation of the teacher's frames, and the deviation of the clips' means in units of it."""
    some = [clips[index] for index in random.choice(len(clips), min(1_200, len(clips)), replace=False)]
    frames = torch.from_numpy(np.concatenate([clip.said[::3] for clip in some]).astype(np.float32))
    mean, scale = frames.mean(0), frames.std(0)
    means = torch.stack([torch.from_numpy(clip.said.astype(np.float32)).mean(0) for clip in some])
    return mean, scale, ((means - mean) / scale).std(0)


def _crops(
    clips: Sequence[_Clip], seconds: float, n: int, random: np.random.Generator
) -> tuple[Tensor, Tensor]:  # (n, time), (n, frames, teacher)
    size = round(seconds * SAMPLE_RATE / _FRAME)
    long = [clip for clip in clips if min(len(clip.said), len(clip.waveform) // _FRAME) > size]
    chance = np.array([len(clip.said) for clip in long], float)
    waveform, said = np.zeros((n, size * _FRAME), np.float32), []
    for row, index in zip(waveform, random.choice(len(long), n, p=chance / chance.sum()), strict=True):
        clip = long[index]
        first = int(random.integers(min(len(clip.said), len(clip.waveform) // _FRAME) - size + 1))
        row[:] = clip.waveform[first * _FRAME : (first + size) * _FRAME]
        said.append(clip.said[first : first + size].astype(np.float32))
    return torch.from_numpy(waveform), torch.from_numpy(np.stack(said))


@torch.no_grad()
def _solve_head(head: nn.Linear, network: FrameNetwork, drawn: Sequence[tuple[Tensor, Tensor]], ridge: float) -> None:
    """Set the head to the ridge regression of the teacher's means on the untrained network's."""
    pooled, targets = [], torch.cat([target for _, target in drawn])
    for waveform, _ in drawn:
        lengths = torch.full((len(waveform),), waveform.shape[1])
        pooled.append(network(*spectrogram(waveform, lengths, network.config)))
    inputs = nn.functional.pad(torch.cat(pooled), (0, 1), value=1.0)
    solution = torch.linalg.solve(inputs.T @ inputs + ridge * torch.eye(inputs.shape[1]), inputs.T @ targets)
    head.weight.copy_(solution[:-1].T)
    head.bias.copy_(solution[-1])


def disturb(waveform: Tensor, random: torch.Generator, *, clean: float) -> Tensor:
    """Give each row (batch, time) its own room, noise, band and microphone, less what lies below a voice."""
    n, size = waveform.shape
    padded = size + SAMPLE_RATE // 2
    spectrum = torch.fft.rfft(waveform, n=padded) * torch.fft.rfft(room_responses(n, random), n=padded)
    spectrum = spectrum + background_noise(spectrum, random, babble=0.2, min_snr_db=8, max_snr_db=45)
    spectrum = spectrum * channel_gains(n, spectrum.shape[1], random)
    is_coloured = torch.rand(n, 1, generator=random) < 0.5
    spectrum = spectrum * torch.where(is_coloured, equaliser_gains(n, spectrum.shape[1], random), 1.0)
    hz = torch.linspace(0, SAMPLE_RATE / 2, spectrum.shape[1])
    disturbed = torch.fft.irfft(spectrum * torch.sigmoid((hz - _LOW_CUT_HZ) / 2), n=padded)[:, :size]
    return torch.where(torch.rand(n, 1, generator=random) < clean, waveform, disturbed)


@torch.no_grad()
def fit_projection(
    network: FrameNetwork, head: nn.Linear, waveforms: Sequence[np.ndarray], dim: int
) -> EmotionExtractor:
    """Return the extractor: principal components of the head's and the network's means, each in its deviation."""
    longest = round(network.config.longest_s * SAMPLE_RATE)

    def pooled(waveform: Tensor, lengths: Tensor) -> list[Tensor]:
        return [*network(*spectrogram(*cut_middle(waveform, lengths, longest=longest), network.config))]

    means = torch.stack(map_batches(pooled, waveforms, torch.device("cpu"), max_samples=60 * SAMPLE_RATE)).double()
    both = torch.cat([head.weight.double(), torch.eye(means.shape[1]).double()])  # (values, 2 * width)
    values = (means - means.mean(0)) @ both.T
    deviation = values.std(0).clamp_min(1e-9)
    _, _, axes = torch.linalg.svd(values / deviation, full_matrices=False)
    projection = (both / deviation[:, None]).T @ axes[:dim].T
    largest = ((means - means.mean(0)) @ projection).std(0).max()
    projection = projection * (_LARGEST_DEVIATION / largest)
    return EmotionExtractor(network, mean=means.mean(0).float(), projection=projection.float())


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, required=True, help="whisper_tiny_en_encoder.safetensors")
    parser.add_argument("--corpus", type=Path, action="append", required=True, help="a folder with labels.csv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    distil(given.corpus, given.teacher, given.out, recipe=DistillationRecipe(), seed=given.seed)


if __name__ == "__main__":
    main()
