"""Enrollment of a known voice: the mean embedding of its recordings becomes a row of `speakers`."""

from typing import Any

from data_contracts.addresses import normalize
from data_contracts.errors import UsageError
from flows.settings import Settings, configs
from tasks.speakers import curation
from tasks.speakers.enrollment import embed_recordings
from tasks.speakers.lookup import normal_name, slug


def enroll(settings: Settings, name: str, uris: list[str]) -> dict[str, Any]:
    """Enroll `name` and return its row. A second one replaces the voice.

    Raises CorpusError for recordings without speech, UsageError for those of two voices.
    """
    name = normal_name(name)
    slug(name)
    lake = settings.open_lake()
    model = settings.open_registry(lake).champion("speaker")
    sources = list(dict.fromkeys(map(normalize, uris)))
    config = configs.feature_config(settings, same_voice=float(model.metadata["threshold"]))
    voice = embed_recordings(sources, model, config, retry_policy=settings.retry_policy)
    if voice.mixed:
        raise UsageError(
            f"expected recordings in which only {name} speaks; found two voices in {', '.join(voice.mixed)}: cut out "
            "the other's part, or give another recording"
        )
    speaker = {
        "name": name,
        "kind": "enrolled",
        "centroid": voice.centroid.tolist(),
        "centroid_s": voice.speech_s,
        "extractor": model.metadata["extractor_digest"],
        "sources": sources,
    }
    row = curation.enroll(lake, speaker)
    evidence = {"speech_s": voice.speech_s, "sources": sources, "unlike": voice.unlike}
    return {"speaker_id": row["speaker_id"], "name": name, **evidence}
