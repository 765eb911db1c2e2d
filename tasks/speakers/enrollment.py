"""Enrollment of a voice from recordings: the mean of the embeddings of their speech."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch

from data_contracts.errors import CorpusError, UsageError
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import ModelRef
from data_contracts.rejects import Reject
from features.corpus.objects import read_object
from features.decode import process_pool
from features.decode.config import SAMPLE_RATE
from features.dsp.batching import pad_batch
from features.extraction.config import FeatureConfig
from features.extraction.shard import find_speech_spans
from features.segmentation.speaker_changes import split_at_changes
from models.serving import sliding_embedder, speaker_embedder
from models.speaker.centring import centred
from models.speaker.decision import Decision
from models.speaker.linking import voices_of_recording

MIN_SPEECH_S = 2.0


@dataclass(frozen=True)
class EnrolledVoice:
    """A voice in the space of an encoder.

    `unlike` are the recordings in which another speaker seems to speak than in the others, `mixed` those in which two
    seem to.
    """

    centroid: np.ndarray  # (dim,) float32 of unit length
    speech_s: float
    unlike: list[str]
    mixed: list[str]


def embed_recordings(
    uris: Sequence[str], model: ModelRef, config: FeatureConfig, *, retry_policy: RetryPolicy = RetryPolicy()
) -> EnrolledVoice:
    """Return the voice of some recordings, prepared as a run prepares its own; channels are mixed.

    Raises CorpusError where one cannot be used, UsageError where all together hold less than two seconds of speech.
    """
    device = torch.device("cpu")
    uris = list(dict.fromkeys(uris))
    waveforms = [_waveform(uri, config, retry_policy) for uri in uris]
    spans = find_speech_spans(waveforms, config.vad, device)
    silent = [uri for uri, found in zip(uris, spans, strict=True) if not found]
    if silent:
        raise CorpusError(f"expected speech in every recording; found none in {', '.join(silent)}: leave it out")
    pieces = split_at_changes(
        dict(enumerate(waveforms)),
        dict(enumerate(spans)),
        sliding_embedder(model, retry_policy),
        config=config.changes,
        device=device,
    )
    segments = [
        (place, waveform[round(span.start_s * SAMPLE_RATE) : round(span.end_s * SAMPLE_RATE)])
        for place, waveform in enumerate(waveforms)
        for span in pieces[place]
    ]
    seconds = np.array([len(piece) / SAMPLE_RATE for _, piece in segments])
    if seconds.sum() < MIN_SPEECH_S:
        raise UsageError(
            f"enrolling needs {MIN_SPEECH_S:.0f} s of speech; found {seconds.sum():.1f} s in {', '.join(uris)}"
        )
    embed = speaker_embedder(model, retry_policy)
    vectors = np.concatenate([embed(*pad_batch([piece], device)) for _, piece in segments])
    places = np.array([place for place, _ in segments])
    own, decision = [places == place for place in range(len(uris))], Decision.from_model(model)
    means = [_mean_direction(vectors[rows], seconds[rows]) for rows in own]
    lengths = [float(seconds[rows].sum()) for rows in own]
    alike = [_closest(means, lengths, place, decision) for place in range(len(uris))] if len(uris) > 1 else []
    unlike = [uri for uri, evidence in zip(uris, alike, strict=False) if evidence < decision.same_voice]
    mixed = [
        uri for uri, rows in zip(uris, own, strict=True) if _has_two_voices(vectors[rows], seconds[rows], decision)
    ]
    return EnrolledVoice(_mean_direction(vectors, seconds), float(seconds.sum()), unlike, mixed)


def _mean_direction(vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    mean = np.average(vectors, axis=0, weights=seconds)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)


def _has_two_voices(vectors: np.ndarray, seconds: np.ndarray, decision: Decision) -> bool:
    """Tell whether two voices of one recording, each long enough to be enrolled, are as unlike as two recordings'."""
    voices = [
        (_mean_direction(vectors[members], seconds[members]), float(seconds[members].sum()))
        for members in voices_of_recording(vectors, seconds, decision)
        if seconds[members].sum() >= MIN_SPEECH_S
    ]
    return any(
        _closest([one[0], other[0]], [one[1], other[1]], 0, decision) < decision.same_voice
        for one, other in combinations(voices, 2)
    )


def _closest(means: list[np.ndarray], seconds: list[float], place: int, decision: Decision) -> float:
    """The evidence that a recording's voice is that of the most similar other recording."""
    vectors = centred(np.stack(means), decision.own_centre(len(means[0])))
    evidence = decision.evidence(vectors @ vectors[place], np.array(seconds), seconds[place])
    return float(np.delete(evidence, place).max())


def _waveform(uri: str, config: FeatureConfig, retry_policy: RetryPolicy) -> np.ndarray:
    try:
        data = retry_policy.call(f"reading {uri}", lambda: read_object(uri, retry_policy=retry_policy), CorpusError)
    except FileNotFoundError as error:
        raise CorpusError(f"{uri} cannot be read: {error}") from error
    audio = process_pool.decode(data, config=replace(config.audio, channels="mix"))
    if isinstance(audio, Reject):
        raise CorpusError(f"{uri} cannot be used: {audio.reason} ({audio.error})")
    return audio.waveform
