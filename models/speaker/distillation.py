"""Distillation of the speaker encoder: crops of a voice, short and disturbed, to what the teachers say of all of it.

Two losses: the cosine to the voice's target, and the cross entropy of which of all voices it is, where voices that the
teachers find alike share the answer (Hinton et al., *Distilling the knowledge in a neural network*, 2015).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.data.labelled_speech import Speech
from models.speaker.crops import Crops
from models.speaker.encoder import SAMPLE_RATE, EncoderConfig, build_network
from models.speaker.progress import Progress
from models.speaker.recipe import StudentRecipe
from models.speaker.steps import disturbed_input, run_steps
from models.speaker.targets import ask_teachers, group_voices, make_targets
from models.speaker.teachers import Teachers


def fit_student(
    speech: Sequence[Speech],
    teachers: Teachers,
    *,
    recipe: StudentRecipe,
    config: EncoderConfig,
    seed: int,
    progress: Progress | None = None,
) -> nn.Module:
    """Return an encoder whose embeddings of short pieces are the teachers' of whole voices."""
    torch.manual_seed(seed)
    voices = group_voices(speech)
    said = ask_teachers(teachers, voices, recipe.speeds, longest_s=recipe.longest_s)
    targets = torch.from_numpy(make_targets(said, np.array([voice.corpus for voice in voices]), dim=config.dim))
    crops = Crops(speech, recipe=recipe, window=config.window, seed=seed)
    encoder = build_network(config)
    optimiser = torch.optim.AdamW(encoder.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, recipe.rate)
    noise = torch.Generator().manual_seed(seed)

    def loss_at(_step: int) -> Tensor:
        waveform, voice = _draw(crops, recipe)
        bands = disturbed_input(waveform, noise, config)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.half_precision):
            vectors = encoder(bands).squeeze(1)
        return distance(vectors.float(), targets[voice], targets, recipe=recipe)

    return run_steps(
        encoder,
        loss_at,
        optimiser=optimiser,
        schedule=schedule,
        steps=recipe.steps,
        average=recipe.average,
        progress=progress,
    )


def _draw(crops: Crops, recipe: StudentRecipe) -> tuple[Tensor, Tensor]:
    """Return crops of half windows, two fifths of them short and two fifths whole, or half as many of whole windows."""
    shortest, short = (round(seconds * SAMPLE_RATE) for seconds in (recipe.shortest_s, recipe.short_s))
    half = crops.window // 2

    def half_length(random: np.random.Generator) -> int:
        share = random.random()
        low, high = (shortest, short) if share < 0.4 else (short, half)
        return round(random.uniform(low, high)) if share < 0.6 else half

    def whole_length(random: np.random.Generator) -> int:
        share = random.random()
        low, high = (shortest, half) if share < 0.2 else (half, crops.window)
        return round(random.uniform(low, high)) if share < 0.6 else crops.window

    if crops.random.random() < recipe.half:
        return crops.draw(recipe.batch, window=half, random_length=half_length)
    return crops.draw(recipe.batch // 2, random_length=whole_length)


def distance(
    vectors: Tensor,  # (n, dim) of the student
    wanted: Tensor,  # (n, dim) of unit length
    targets: Tensor,  # (voices, dim) of unit length
    *,
    recipe: StudentRecipe,
) -> Tensor:
    """Return the loss, a number: the cosine's shortfall and the cross entropy over all voices."""
    found = nn.functional.normalize(vectors)
    shortfall = 1 - (found * wanted).sum(1).mean()
    share = (recipe.scale * wanted @ targets.T).softmax(1)
    entropy = -(share * (recipe.scale * found @ targets.T).log_softmax(1)).sum(1).mean()
    return recipe.cosine * shortfall + entropy
