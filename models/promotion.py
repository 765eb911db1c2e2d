"""Promotion: compare a challenger with the champion on the same clips, of speakers that neither was trained on.

The challenger passes unless its metric is worse; equal is enough. The metric is the UAR of a nightly run for emotion
(`uar_adaptive`; `uar` where there is none), and the equal error rate for speaker.
"""

import math
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data_contracts.errors import ModelError, UndertoneError, UsageError
from data_contracts.records import ModelRef
from models.data import training_set
from models.data.labelled_speech import manifest_digest_from_ids
from models.data.labels_file import read_labels
from models.data.speaker_overlap import overlapping_speakers, recording_ids, write_without_speakers
from models.metrics.names import FIGURES, format_figure
from models.pretrained.emotion import PretrainedEmotion
from models.pretrained.kind import is_pretrained, load_speaker
from models.registry import loading
from models.registry.compatibility import check_features

_DECISIVE = {"emotion": ("uar_adaptive", "uar"), "speaker": ("eer",)}
_LOWER_IS_BETTER = {"eer"}
_MAX_NAMED = 5  # speakers in a message, at most


@dataclass(frozen=True)
class PromotionVerdict:
    """Decision on a challenger: accepted or not, the reason, and the metrics of both, with intervals where known.

    The names of the fields are stored in the registry's tags.
    """

    accepted: bool
    reason: str
    metric: str = ""
    challenger: dict[str, Any] = field(default_factory=dict)
    champion: dict[str, Any] = field(default_factory=dict)
    protocol: str = ""
    corpus: str = ""
    manifest: str = ""  # of the evaluation corpus
    n_left_out: int = 0  # speakers of the corpus that a model was trained on

    def record(self) -> dict[str, Any]:
        """Return the fields with a value, for JSON."""
        return {name: value for name, value in asdict(self).items() if value not in ("", {})}


def judge_challenger(
    challenger: ModelRef, champion: ModelRef | None, corpus: Path, *, voices: ModelRef, unheard: bool = False
) -> PromotionVerdict:
    """Return the verdict on `corpus`, a labelled folder; `voices` is the speaker model by which emotion models adapt.

    A speaker of the corpus that a model was trained on is a reason to refuse, unless `unheard` leaves such speakers
    out. An error that makes the comparison impossible is a reason, too, and is not raised.
    """
    try:
        return _compare(challenger, champion, corpus, voices=voices, unheard=unheard)
    except UndertoneError as error:
        return PromotionVerdict(False, f"the two could not be compared: {error}", corpus=str(corpus))


def evaluate(name: str, folder: Path, corpus: Path, *, voices: Path) -> dict[str, Any]:
    """Evaluate the model in `folder` on `corpus`; `voices` is the folder of the speaker model for adaptation.

    Raises ModelError for a folder that is not Undertone's own.
    """
    if name == "emotion":
        from models.emotion.evaluation import evaluate_emotion
        from models.emotion.model import EmotionModel
        from models.pretrained.evaluation import evaluate_pretrained

        if is_pretrained(folder):
            return evaluate_pretrained(PretrainedEmotion(folder), corpus)
        return evaluate_emotion(EmotionModel.load(folder), corpus, speaker=load_speaker(voices))
    from models.speaker.evaluation import evaluate_speaker

    return evaluate_speaker(load_speaker(folder), corpus)


def evaluate_calm(folder: Path, corpus: Path, *, voices: Path, emotion_prior: str) -> dict[str, Any]:
    """Evaluate the emotion model in `folder` on calm speech. Raises UsageError for a pulled one."""
    from models.emotion.calm import evaluate_calm as evaluate_own
    from models.emotion.model import EmotionModel

    if is_pretrained(folder):
        raise UsageError("expected a model that was trained here for --calm, found a pulled one: choose a --version")
    return evaluate_own(EmotionModel.load(folder), corpus, speaker=load_speaker(voices), emotion_prior=emotion_prior)


def _compare(
    challenger: ModelRef, champion: ModelRef | None, corpus: Path, *, voices: ModelRef, unheard: bool
) -> PromotionVerdict:
    clips = [clip for clip in read_labels([corpus]) if clip.speaker]
    recordings = recording_ids(clips)
    fields: dict[str, Any] = {"corpus": str(corpus), "manifest": manifest_digest_from_ids(clips, recordings)}
    replaced = champion if champion is not None and _is_compatible(champion) else None
    refs = [challenger, *([replaced] if replaced else [])]
    folders = [loading.weights_folder(ref) for ref in refs]
    overlaps = {
        ref.label: overlapping_speakers(_require_training_set(ref, folder), clips, recordings)
        for ref, folder in zip(refs, folders, strict=True)
    }
    overlap, speakers = set().union(*overlaps.values()), {clip.speaker for clip in clips}
    fields["n_left_out"] = len(overlap)
    if overlap and (not unheard or overlap == speakers):
        return PromotionVerdict(False, _overlap_reason(overlaps, speakers, corpus), **fields)
    with tempfile.TemporaryDirectory() as place:
        rest = write_without_speakers(overlap, corpus, Path(place)) if overlap else corpus
        speaker = loading.weights_folder(voices)
        results = [evaluate(challenger.name, folder, rest, voices=speaker) for folder in folders]
    figures = [_key_figures(challenger.name, result) for result in results]
    fields |= {
        "challenger": figures[0],
        "champion": figures[1] if replaced else {},
        "protocol": results[0].get("protocol", ""),
    }
    return _decide(challenger, champion, replaced, fields)


def _decide(
    challenger: ModelRef, champion: ModelRef | None, replaced: ModelRef | None, fields: dict[str, Any]
) -> PromotionVerdict:
    mine, theirs = fields["challenger"], fields["champion"]
    found = [key for key in _DECISIVE[challenger.name] if key in mine and (key in theirs or not theirs)]
    if not found or not math.isfinite(mine[found[0]]):
        return PromotionVerdict(False, f"{challenger.label} has no figure to go by on {fields['corpus']}", **fields)
    metric = found[0]
    words = f"{FIGURES[challenger.name][metric]} {format_figure(mine, metric)}"
    if replaced is None:
        why = f"{champion.label} reads features that are no longer computed" if champion else "there is no champion"
        return PromotionVerdict(True, f"{why}; {challenger.label} has {words}", metric, **fields)
    classes = [set(ref.metadata.get("classes", ())) for ref in (challenger, replaced)]
    if classes[0] != classes[1]:
        odd = ", ".join(sorted(classes[0] ^ classes[1]))
        return PromotionVerdict(
            False, f"the two tell different classes apart ({odd}), so their figures say nothing", **fields
        )
    worse = mine[metric] > theirs[metric] if metric in _LOWER_IS_BETTER else mine[metric] < theirs[metric]
    than = f"{words}, {replaced.label} {format_figure(theirs, metric)}"
    return PromotionVerdict(
        not worse, f"{challenger.label} is {'worse' if worse else 'no worse'}: {than}", metric, **fields
    )


def _is_compatible(ref: ModelRef) -> bool:
    try:
        check_features(ref)
    except ModelError:
        return False
    return True


def _require_training_set(ref: ModelRef, folder: Path) -> Path:
    if not training_set.exists(folder):
        raise UsageError(
            f"{ref.label} does not say what it was trained on (no trained_on.txt), so that nobody can see whether a "
            "speaker is on both sides"
        )
    return folder


def _overlap_reason(overlaps: dict[str, set[str]], speakers: set[str], corpus: Path) -> str:
    overlap = sorted(set().union(*overlaps.values()))
    labels = " and ".join(label for label, names in overlaps.items() if names)
    names = ", ".join(overlap[:_MAX_NAMED]) + (", …" if len(overlap) > _MAX_NAMED else "")
    n_left = len(speakers) - len(overlap)
    way_out = f", or --unheard to leave them out ({n_left} remain)" if n_left else "; nobody else is there"
    return (
        f"{len(overlap)} of the {len(speakers)} speakers in {corpus} are on both sides, in the training of {labels} "
        f"too ({names}): give a --corpus of others{way_out}"
    )


def _key_figures(name: str, result: dict[str, Any]) -> dict[str, Any]:
    keys = [key for figure in FIGURES[name] for key in (figure, f"{figure}_interval")]
    return {key: result[key] for key in (*keys, "n", "n_speakers", "n_trials") if key in result}
