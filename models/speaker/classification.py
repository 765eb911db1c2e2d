"""Training of the speaker encoder on labels alone: classify augmented two-second crops by voice.

An additive angular margin (Deng et al., CVPR 2019) that grows from nothing; each speed of a speaker is another voice.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.data.augmentation import disturb, mask_bands, recolour
from models.data.labelled_speech import Speech
from models.speaker.crops import Crops
from models.speaker.encoder import EncoderConfig, build_network, join_frames, log_bands
from models.speaker.progress import Progress
from models.speaker.recipe import SpeakerRecipe
from models.speechbrain_compat import speechbrain_importable


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
        bands = mask_bands(log_bands(disturb(recolour(waveform, noise), noise), config), noise)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.half_precision):
            voices = encoder(join_frames(bands, config))
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
