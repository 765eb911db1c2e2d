"""Configurations of decoding, features, workers and drift from the settings: the one place where they meet."""

from typing import TYPE_CHECKING

from data_contracts.emotion_prior import BALANCED, expected_shares
from data_contracts.errors import UsageError
from data_contracts.records import ModelRef
from features.decode.config import AudioConfig
from features.resources import Resources
from flows.settings import Settings

if TYPE_CHECKING:
    from features.extraction.config import FeatureConfig
    from models.drift.distance import DriftConfig


def audio_config(settings: Settings) -> AudioConfig:
    """Return the channels to analyse and the preparation of the audio. Raises UsageError."""
    if settings.strict and settings.keep_truncated:
        raise UsageError(
            "settings: expected strict or keep_truncated, which contradict each other, found both; set one"
        )
    return AudioConfig(
        max_s=settings.max_s,
        channels=settings.channels,
        keep_truncated=settings.keep_truncated,
        truncated_share=1.0 if settings.strict else settings.truncated_share,
        dc=settings.dc,
        resampler=settings.resampler,
        denoise=settings.denoise,
        level_lufs=settings.level_lufs,
    )


def feature_config(settings: Settings, *, same_voice: float) -> "FeatureConfig":
    """Return all of feature extraction; `same_voice` is the speaker model's threshold. Raises UsageError."""
    from features.extraction.config import FeatureConfig
    from features.segmentation.config import VadConfig
    from features.segmentation.speaker_changes import ChangeConfig

    return FeatureConfig(
        audio=audio_config(settings),
        vad=VadConfig(method=settings.vad),
        changes=ChangeConfig(enabled=settings.speaker_changes, same_voice=round(same_voice, 3)),
        logmel=settings.logmel,
        lld=settings.lld,
    )


def emotion_prior(settings: Settings, emotion: ModelRef) -> str | None:
    """Return the prior as published rows name it: balanced where nothing is known of the model's logits, or of neutral.

    None for other people's models: what they answer is no posterior that one could shift. Raises UsageError.
    """
    if "features" not in emotion.metadata:
        return None
    shares = expected_shares(settings.emotion_prior, emotion.metadata["classes"])
    return settings.emotion_prior if shares and emotion.metadata.get("has_logit_statistics") else BALANCED


def worker_resources(settings: Settings) -> Resources:
    """Return the limits of a worker. Raises UsageError."""
    return Resources(
        n_readers=settings.readers,
        n_decoders=settings.decoders,
        decode_timeout_s=settings.decode_timeout_s,
        memory_mb=settings.memory_mb,
        long_s=settings.long_s,
        retry_policy=settings.retry_policy,
    )


def drift_config(settings: Settings) -> "DriftConfig":
    """Return the reference window and the thresholds of drift."""
    from models.drift.distance import DriftConfig

    return DriftConfig(
        days=settings.drift_days,
        least_days=settings.drift_least_days,
        least_recordings=settings.drift_least_recordings,
        least_utterances=settings.drift_least_utterances,
        psi=settings.drift_psi,
        share=settings.drift_share,
        cosine=settings.drift_cosine,
    )
