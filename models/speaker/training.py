"""Training of the speaker encoder: classify augmented two-second crops by voice.

Read the speech, hold some voices out, fit the encoder on the others with an additive angular margin (Deng et al., CVPR
2019), then find the threshold and the calibration on the held-out voices.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from data_contracts.errors import UsageError
from models.data.augmentation import disturb, mask_bands, recolour
from models.data.labelled_speech import Speech, manifest_digest, read_speech
from models.data.labels_file import read_labels
from models.speaker.crops import Crops
from models.speaker.encoder import SAMPLE_RATE, EncoderConfig, build_network, spectrogram
from models.speaker.identification import closed_set
from models.speaker.model import SpeakerModel
from models.speaker.recipe import SpeakerRecipe
from models.speaker.score_norm import Cohort, speaker_means
from models.speaker.trials import embed_speech, halve_single_clips, pair_trials, shorten_every_second
from models.speechbrain_compat import speechbrain_importable

_RECIPE, _ENCODER = SpeakerRecipe(), EncoderConfig()
Progress = Callable[[int, float, nn.Module], None]
"""Callback with the step, its loss, and the encoder averaged over the steps so far."""


def train_speaker(
    corpora: Sequence[Path],
    out: Path,
    *,
    seed: int = 0,
    recipe: SpeakerRecipe = _RECIPE,
    encoder: EncoderConfig = _ENCODER,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train on the labelled speech of `corpora`, write the model to `out`, and return the held-out voices' metrics.

    Raises UsageError where there are too few speakers to hold any out.
    """
    clips = [clip for clip in read_labels(corpora) if clip.speaker]
    speech = [item for item in read_speech(clips) if len(item.waveform) >= recipe.least_speech_s * SAMPLE_RATE]
    held_out = held_out_speakers(speech, share=recipe.held_out, seed=seed)
    training = [item for item in speech if item.clip.speaker not in held_out]
    unseen = [item for item in speech if item.clip.speaker in held_out]
    network = fit(training, recipe=recipe, config=encoder, seed=seed, progress=progress)
    SpeakerModel(network, encoder, threshold=0.0, calibration=(1.0, 0.0)).save(out)
    model = SpeakerModel.load(out)  # in the stored precision
    metrics = calibrate_and_measure(model, training, unseen, recipe=recipe, seed=seed)
    model.save(out)
    return metrics


def calibrate_and_measure(
    model: SpeakerModel, training: Sequence[Speech], unseen: Sequence[Speech], *, recipe: SpeakerRecipe, seed: int
) -> dict[str, Any]:
    """Set the model's threshold, calibration, cohort and training record; return the held-out voices' metrics.

    The threshold and the calibration come from pairs of mixed lengths, as in a night: some clips whole, others cut.
    """
    mixed = shorten_every_second(halve_single_clips(unseen), lengths_s=recipe.lengths_s, seed=seed)
    mixed_utterances = embed_speech(model, mixed)
    trials = pair_trials(mixed_utterances)
    model.threshold, model.calibration = trials.threshold(recipe.false_accept_rate), trials.calibration()
    seen = embed_speech(model, training)
    cohort = Cohort(speaker_means(seen.vectors, seen.speakers), recipe.cohort_nearest)
    trials = pair_trials(mixed_utterances, cohort.scores)
    model.cohort = dataclasses.replace(
        cohort, threshold=trials.threshold(recipe.false_accept_rate), calibration=trials.calibration()
    )
    model.normalised = recipe.normalised
    utterances = embed_speech(model, halve_single_clips(unseen))
    metrics = pair_trials(utterances, model.scores).metrics()
    metrics["top1"] = round(closed_set(utterances, model.scores), 4)
    model.training = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "n_clips": len(training),
        "n_speakers": len({item.clip.speaker for item in training}),
        "minutes": round(sum(len(item.waveform) for item in training) / SAMPLE_RATE / 60, 1),
        "corpora": sorted({item.clip.corpus for item in training}),
        "licences": {
            corpus: sorted({item.clip.licence for item in training if item.clip.corpus == corpus})
            for corpus in sorted({item.clip.corpus for item in training})
        },
        "manifest": manifest_digest(training),
        "held_out_speakers": sorted({item.clip.speaker for item in unseen}),
        "held_out": metrics,
        "false_accept_rate": recipe.false_accept_rate,
    }
    model.trained_on = frozenset(item.recording_id for item in training)
    return metrics


def held_out_speakers(speech: Sequence[Speech], *, share: float, seed: int) -> set[str]:
    """Return the speakers to hold out of training: `share` of each corpus, at least two."""
    held_out: set[str] = set()
    for corpus in sorted({item.clip.corpus for item in speech}):
        names = sorted({item.clip.speaker for item in speech if item.clip.corpus == corpus})
        n = max(2, math.ceil(share * len(names)))
        if len(names) < n + 2:
            raise UsageError(
                f"expected at least {n + 2} speakers in the corpus {corpus!r}, {n} of them to hold out; "
                f"found {len(names)}: add speakers, or leave that corpus out"
            )
        order = np.random.default_rng([seed, len(names)]).permutation(len(names))
        held_out |= {names[index] for index in order[:n]}
    return held_out


def fit(
    speech: Sequence[Speech],
    *,
    recipe: SpeakerRecipe,
    config: EncoderConfig,
    seed: int,
    progress: Progress | None = None,
) -> nn.Module:
    """Return an encoder trained to tell the speakers of `speech` apart."""
    torch.manual_seed(seed)
    encoder = build_network(config)
    with speechbrain_importable():
        from speechbrain.lobes.models.ECAPA_TDNN import Classifier
        from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

    crops = Crops(speech, recipe=recipe, window=config.window, seed=seed)
    classifier = Classifier(config.dim, lin_neurons=config.dim, out_neurons=crops.n_classes)
    parameters = [*encoder.parameters(), *classifier.parameters()]
    optimiser = torch.optim.AdamW(parameters, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=recipe.steps)
    average = get_ema_multi_avg_fn(recipe.average)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(encoder, multi_avg_fn=average, use_buffers=True)
    noise = torch.Generator().manual_seed(seed)
    encoder.train()
    for step in range(recipe.steps):
        waveform, speaker = crops.draw(recipe.batch)
        bands = mask_bands(spectrogram(disturb(recolour(waveform, noise), noise), config), noise)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.half_precision):
            voices = encoder(bands)
        margin = recipe.margin * min(1.0, step / max(1.0, recipe.margin_from * recipe.steps))
        loss_of = LogSoftmaxWrapper(AdditiveAngularMargin(margin, recipe.scale))
        loss = loss_of(classifier(voices.float()), speaker[:, None])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        schedule.step()
        averaged.update_parameters(encoder)
        if progress:
            progress(step, float(loss.detach()), averaged.module)
    module: nn.Module = averaged.module
    return module.eval()
