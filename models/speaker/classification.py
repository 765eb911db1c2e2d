"""Training of the speaker encoder on labels alone: classify augmented two-second crops by voice.

An additive angular margin (Deng et al., CVPR 2019) that grows from nothing; each speed of a speaker is another voice.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.data.labelled_speech import Speech
from models.speaker.crops import Crops
from models.speaker.encoder import EncoderConfig, build_network
from models.speaker.progress import Progress
from models.speaker.recipe import SpeakerRecipe
from models.speaker.steps import disturbed_input, run_steps
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
    noise = torch.Generator().manual_seed(seed)

    def loss_at(step: int) -> Tensor:
        waveform, speaker = crops.draw(recipe.batch)
        bands = disturbed_input(waveform, noise, config)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.half_precision):
            voices = encoder(bands)
        margin = recipe.margin * min(1.0, step / max(1.0, recipe.margin_from * recipe.steps))
        loss_of = LogSoftmaxWrapper(AdditiveAngularMargin(margin, recipe.scale))
        loss: Tensor = loss_of(classifier(voices.float()), speaker[:, None])
        return loss

    return run_steps(
        encoder,
        loss_at,
        optimiser=optimiser,
        schedule=schedule,
        steps=recipe.steps,
        average=recipe.average,
        progress=progress,
    )
