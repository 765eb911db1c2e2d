"""Pull a published model: convert its folder into one that the registry takes, with a card."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from data_contracts.errors import ModelError, UsageError
from features.decode.config import SAMPLE_RATE
from models.data.labelled_speech import Speech, read_speech
from models.data.labels_file import read_labels
from models.pretrained import from_speechbrain, from_transformers, from_wespeaker
from models.pretrained.source import UNSTATED, Origin, fetch_configuration, fetch_source
from models.pretrained.speaker import PretrainedSpeaker
from models.speaker import trials
from models.speaker.centring import centred
from models.speaker.log_odds import fit_log_odds
from models.speaker.score_norm import speaker_means

ModelName = Literal["emotion", "speaker"]
FALSE_ACCEPT_RATE = 0.01  # of a threshold set on labelled speech
MIN_MEDIAN_S = 1.0  # of its clips, from which it can say what durations mean
LENGTHS_S = (1.0, 2.0, 4.0)  # that every second clip of it is cut to, so that durations can be told


@dataclass(frozen=True)
class PulledModel:
    """Folder ready to be registered, with its origin, remarks for the user, and metrics."""

    name: ModelName
    folder: Path
    origin: Origin
    remarks: list[str] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)


def pull_model(
    source: str,
    work: Path,
    *,
    place: str | None = None,
    revision: str | None = None,
    wanted: ModelName | None = None,
    corpora: Sequence[Path] = (),
) -> PulledModel:
    """Fetch `source`, convert it and write the result below `work`.

    Raises ModelError where the model is not supported or not the `wanted` one; UsageError where `corpora` are given for
    an emotion model, which needs no threshold.
    """
    folder, into = work / "source", work / "model"
    origin = fetch_source(source, place=place, revision=revision, into=folder)
    name = _detect_name(folder, source)
    if origin.licence == UNSTATED and from_wespeaker.is_wespeaker(folder):
        origin = replace(origin, licence=from_wespeaker.licence_of(folder, source) or UNSTATED)
    if wanted and wanted != name:
        raise ModelError(f"expected a model for {wanted} at {origin.place}, found one for {name}: leave --as out")
    training = {"pulled": origin.record() | {"code_version": version("undertone")}}
    if name == "speaker":
        convert = from_wespeaker if from_wespeaker.is_wespeaker(folder) else from_speechbrain
        model = convert.convert_speaker(folder, training=training)
        remarks, metrics = _calibrate(model, corpora)
        model.save(into)
    elif corpora:
        raise UsageError("--corpus calibrates a speaker model's threshold; an emotion model is pulled without one")
    else:
        remarks, metrics = [], {}
        _convert_emotion(folder, into, training=training, on_hub=place is None)
    pulled = PulledModel(name, into, origin, remarks, metrics)
    (into / "README.md").write_text(model_card(pulled), encoding="utf-8")
    return pulled


def _detect_name(folder: Path, source: str) -> ModelName:
    if from_speechbrain.is_speechbrain(folder):
        return "speaker" if from_speechbrain.detect_name(folder) == "speaker" else "emotion"
    if from_transformers.is_transformers(folder):
        return "emotion"
    if from_wespeaker.is_wespeaker(folder):
        return "speaker"
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    raise ModelError(
        f"expected hyperparams.yaml (SpeechBrain), config.json (transformers), or config.yaml and avg_model.pt or "
        f"pytorch_model.bin (WeSpeaker, pyannote) in {source}, found {found}: give the folder that holds them"
    )


def _convert_emotion(folder: Path, into: Path, *, training: dict[str, Any], on_hub: bool) -> None:
    if not from_speechbrain.is_speechbrain(folder):
        from_transformers.convert_emotion(folder, into, training=training)
        return

    def encoder_from(source: str, target: Path) -> None:
        """Fetch the encoder's configuration from its own repository, and record the commit."""
        training["pulled"]["encoder"] = {"source": source, "revision": fetch_configuration(source, target)}

    from_speechbrain.convert_emotion(folder, into, training=training, encoder_from=encoder_from if on_hub else None)


def _calibrate(model: PretrainedSpeaker, corpora: Sequence[Path]) -> tuple[list[str], dict[str, Any]]:
    """Set threshold and calibration from labelled speech, where there is some; return remarks and metrics."""
    if not corpora:
        slope, offset = model.calibration
        return [
            f"The threshold, a cosine of {model.threshold}, is {_RULES[model.encoder.kind]}; speaker_score is a "
            f"convention (sigmoid of {slope:g} x cosine {offset:+g}) and measured on nothing: give --corpus DIR of "
            "labelled speech to set both"
        ], {}
    speech = list(read_speech([clip for clip in read_labels(corpora) if clip.speaker]))
    utterances = trials.embed_speech(model, trials.halve_single_clips(speech))
    pairs = trials.pair_trials(utterances)
    model.threshold, model.calibration = pairs.threshold(FALSE_ACCEPT_RATE), pairs.calibration()
    seconds = [len(item.waveform) / SAMPLE_RATE for item in speech]
    remarks = []
    if np.median(seconds) < MIN_MEDIAN_S:
        remarks.append(
            f"Half of the clips have less than {MIN_MEDIAN_S:g} s of speech, too little to learn what durations say: "
            "long utterances are judged as short ones"
        )
    else:
        _fit_durations(model, speech)
    metrics = {"eer": round(pairs.eer(), 4), "min_dcf": round(pairs.min_dcf(), 4), "n_trials": len(pairs.scores)}
    model.training["calibrated"] = metrics | {"corpora": [path.name for path in corpora], "n_clips": len(speech)}
    return [
        f"Threshold {model.threshold:.3f}, at {FALSE_ACCEPT_RATE:.0%} of the other voices accepted, and calibration "
        f"from {len(speech)} clips: equal error rate {pairs.eer():.1%}",
        *remarks,
    ], metrics


def _fit_durations(model: PretrainedSpeaker, speech: list[Speech]) -> None:
    """Set the centre, and the log odds, from pairs of mixed lengths."""
    mixed = trials.shorten_every_second(trials.halve_single_clips(speech), lengths_s=LENGTHS_S, seed=0)
    utterances = trials.embed_speech(model, mixed)
    model.centre = speaker_means(utterances.vectors, utterances.speakers).mean(0)
    seconds = np.array([len(item.waveform) / SAMPLE_RATE for item in mixed])
    vectors = centred(utterances.vectors, model.centre)
    model.log_odds = fit_log_odds(vectors, utterances.speakers, utterances.corpora, seconds)


def model_card(pulled: PulledModel) -> str:
    """Return the model card: origin, licence, content, metrics and limits."""
    config = json.loads((pulled.folder / "config.json").read_text())
    origin = pulled.origin
    commit = f"commit `{origin.revision}`" if origin.revision else "no commit: a folder says none"
    parts = [
        f"# {pulled.name.capitalize()}: {origin.source}, pulled with `undertone models pull`",
        f"**From** {origin.place}, {commit}.",
        f"**Licence: {origin.licence}**, as its source states it. The weights are the source's, in another format."
        + _NOTICES.get(config["kind"], ""),
        _content_paragraph(config),
    ]
    if "labels" in config:
        words = ", ".join(f"`{theirs}` as `{ours}`" for theirs, ours in config["labels"].items())
        parts.append(f"**Outputs**: {words}.")
    parts += ["## Measured", *(f"{remark}." for remark in pulled.remarks)]
    if not pulled.metrics:
        parts.append(
            "Nothing was measured here. Its training data are not known to Undertone, so no evaluation can leave them "
            "out."
        )
    parts += ["## Limits", _LIMITS[pulled.name]]
    return "\n\n".join(parts) + "\n"


def _content_paragraph(config: dict[str, Any]) -> str:
    n = config.get("feature_dim", config.get("dim"))
    where = f"the feature set `{config['feature_set']}`" if "feature_set" in config else "`embeddings`"
    return (
        f"**What.** Kind `{config['kind']}`: an extractor from an utterance at 16 kHz to {n} numbers, stored as {where}"
        + (
            f", and a head that reads them: classes {', '.join(config['classes']) or 'none'}; dimensions "
            f"{', '.join(config['dimensions']) or 'none'}, on the model's own scale."
            if "feature_set" in config
            else f"; above a cosine of {config['threshold']:.3f} two voices count as the same."
        )
        + " Weights are safetensors; nothing of the source's code is kept or run. Each utterance is heard alone."
    )


_RULES = {"speechbrain-ecapa": "SpeechBrain's", "wespeaker-resnet": "that of read English, its authors name none"}
_NOTICES = {
    "wespeaker-resnet": (
        " WeSpeaker: H. Wang et al., *WeSpeaker: a research and production oriented speaker embedding learning "
        "toolkit*, ICASSP 2023; batch normalisation was folded into the convolutions."
    )
}
_LIMITS = {
    "emotion": (
        "- Not adapted to speakers: the same voice is judged as the model learned it.\n"
        "- Models of spectrograms of a fixed length (AST, Whisper) hear the beginning of a longer utterance only.\n"
        "- Where several classes may be true at once (sigmoid outputs), the scores are scaled to sum to one.\n"
        "- For trends over many utterances. Not for decisions about a person."
    ),
    "speaker": (
        "- For grouping the utterances of a corpus by voice. **Not for authentication.**\n"
        "- A whole utterance is heard at once: memory grows with its length."
    ),
}
