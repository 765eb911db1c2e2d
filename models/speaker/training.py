"""Training of the speaker encoder: read speech, hold voices out, fit on the others, calibrate on those held out.

With teachers the encoder is their student (`models.speaker.distillation`) and the voices held out are fixed by their
names; without, it learns to tell labelled speakers apart (`models.speaker.classification`).
"""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from data_contracts.errors import UsageError
from models.data.kept_out import is_for_calibration, is_kept_out
from models.data.labelled_speech import Speech, read_speech
from models.data.labels_file import read_labels
from models.data.licences import is_restrictive
from models.speaker.classification import fit
from models.speaker.distillation import fit_student
from models.speaker.encoder import SAMPLE_RATE, STUDENT, EncoderConfig
from models.speaker.held_out import calibrate, held_out_speakers, measure, training_record
from models.speaker.model import SpeakerModel
from models.speaker.progress import Progress
from models.speaker.recipe import SpeakerRecipe, StudentRecipe
from models.speaker.teachers import Teachers

_LOG = logging.getLogger(__name__)
_FEWEST_HELD_OUT = 2  # speakers: fewer make no pair
_RECIPE, _STUDENT_RECIPE, _ENCODER = SpeakerRecipe(), StudentRecipe(), EncoderConfig()


def train_speaker(
    corpora: Sequence[Path],
    out: Path,
    *,
    seed: int = 0,
    recipe: SpeakerRecipe = _RECIPE,
    encoder: EncoderConfig = _ENCODER,
    any_licence: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train on the labelled speech of `corpora`, write the model to `out`, and return the held-out voices' metrics.

    Clips under a licence that asks for more than attribution take no part, unless `any_licence`. Raises UsageError
    where there are too few speakers to hold any out.
    """
    speech = _read(corpora, recipe, any_licence=any_licence, labelled=True)
    held_out = held_out_speakers(speech, share=recipe.held_out, seed=seed)
    training = [item for item in speech if item.clip.speaker not in held_out]
    unseen = [item for item in speech if item.clip.speaker in held_out]
    network = fit(training, recipe=recipe, config=encoder, seed=seed, progress=progress)
    return _finish(network, encoder, out, training, unseen, unseen, recipe=recipe, seed=seed)


def train_student(
    corpora: Sequence[Path],
    teachers: Teachers,
    out: Path,
    *,
    seed: int = 0,
    recipe: StudentRecipe = _STUDENT_RECIPE,
    encoder: EncoderConfig = STUDENT,
    any_licence: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a student of `teachers` on speech of `corpora`, labelled or not; else as `train_speaker`.

    An eighth of the labelled voices is kept out to judge the model, another to calibrate it (`models.data.kept_out`).
    Raises UsageError where either has no pairs of voices.
    """
    speech = _read(corpora, recipe, any_licence=any_licence, labelled=False)
    judges = [item for item in speech if is_kept_out(item.clip.speaker)]
    calibration = [item for item in speech if is_for_calibration(item.clip.speaker)]
    if min(len({item.clip.speaker for item in part}) for part in (judges, calibration)) < _FEWEST_HELD_OUT:
        raise UsageError(
            f"expected {_FEWEST_HELD_OUT} labelled speakers or more in each of the two eighths that are held out; "
            f"found {len(judges)} and {len(calibration)} clips of them: add labelled speech"
        )
    chosen = {id(item) for item in (*judges, *calibration)}
    training = [item for item in speech if id(item) not in chosen]
    network = fit_student(training, teachers, recipe=recipe, config=encoder, seed=seed, progress=progress)
    return _finish(network, encoder, out, training, calibration, judges, recipe=recipe, seed=seed)


def _read(corpora: Sequence[Path], recipe: SpeakerRecipe, *, any_licence: bool, labelled: bool) -> list[Speech]:
    clips = [clip for clip in read_labels(corpora) if clip.speaker or not labelled]
    left_out = {} if any_licence else Counter((c.corpus, c.licence) for c in clips if is_restrictive(c.licence))
    for (corpus, licence), n in sorted(left_out.items()):
        _LOG.warning("%s: %d clips under %s take no part; --any-licence uses them", corpus, n, licence)
    used = [clip for clip in clips if (clip.corpus, clip.licence) not in left_out]
    return [item for item in read_speech(used) if len(item.waveform) >= recipe.least_speech_s * SAMPLE_RATE]


def _finish(
    network: nn.Module,
    encoder: EncoderConfig,
    out: Path,
    training: Sequence[Speech],
    calibration: Sequence[Speech],
    judges: Sequence[Speech],
    *,
    recipe: SpeakerRecipe,
    seed: int,
) -> dict[str, Any]:
    """Write the model, calibrated, and return the judging voices' metrics."""
    SpeakerModel(network, encoder, threshold=0.0, calibration=(1.0, 0.0)).save(out)
    model = SpeakerModel.load(out)  # in the stored precision
    calibrate(model, training, calibration, recipe=recipe, seed=seed)
    metrics = measure(model, judges)
    held_out = [*judges, *calibration]
    model.training = training_record(training, held_out, recipe=recipe, seed=seed) | {"held_out": metrics}
    model.trained_on = frozenset(item.recording_id for item in training)
    model.save(out)
    return metrics
