"""What every table, feature set and column means, in one place: `undertone tables` and docs/tables.md are made of it.

A test holds that no column of a table or a feature set is without a word, and no word without a column.
"""

import re
from dataclasses import dataclass

from data_contracts.schema.functional_names import functional
from data_contracts.schema.tables import QUALITY_MEASURES


@dataclass(frozen=True)
class Word:
    """What a column holds; `unit` is empty where there is none to name."""

    meaning: str
    unit: str = ""


TABLES: dict[str, str] = {
    "utterances": "a stretch of speech: who spoke, and with what emotion",
    "speakers": "a voice: enrolled by name, or found and given a pseudonym",
    "emotion_daily": "what a day's utterances of one source, kind of speaker and emotion add up to",
    "speaker_daily": "what a day's utterances of one speaker and emotion add up to",
    "quality_daily": "what a day's recordings of one source are like",
    "rejects_daily": "how many of a day's recordings of one source could not be used, for one reason",
    "feature_daily": "how a day's values of one feature are spread: a histogram, from which drift is told",
    "drift": "how far a day is from the 28 days before, by one measure",
    "rejects": "an object that could not be used, with the reason",
    "recordings": "an object that was ever read, with its quality",
    "runs": "a run, or a change by hand: the ledger",
}
"""What a row of each analytics table is."""

SETS: dict[str, str] = {
    "recordings": "an object that was read, as often as it was read",
    "segments": "a stretch of speech: where it lies",
    "egemaps": "an utterance's 88 functionals of eGeMAPS (Eyben et al. 2016)",
    "suprasegmental": "an utterance's statistics of contours, timbre and rhythm",
    "embeddings": "an utterance's speaker embedding",
    "emotion_embeddings": "what a pulled emotion model's extractor heard in an utterance, for its head",
    "logmel": "an utterance's log-mel frames; stored where UNDERTONE_LOGMEL is set",
    "lld": "an utterance's 25 descriptors of eGeMAPS by frame; stored where UNDERTONE_LLD is set",
}
"""What a row of each feature set is."""

_COMMON: dict[str, Word] = {
    "recording_id": Word("SHA-256 of the audio's bytes, its first 32 hex digits"),
    "channel": Word("the channel that was analysed, from 0; 0 where all were mixed too"),
    "segment": Word("the utterance's number on its channel, by time, from 0"),
    "start_s": Word("where it begins in the recording", "s"),
    "end_s": Word("where it ends in the recording", "s"),
    "level_db": Word("root mean square", "dBFS"),
    "uri": Word("where the object lies, or lay"),
    "etag": Word("the content's mark, as the store says it"),
    "bytes": Word("the object's size", "bytes"),
    "modified": Word("when the object was written, as the store says it"),
    "attributes": Word("the manifest's further columns, as JSON"),
    "tries": Word("how often this content was read, this time included"),
    "read_at": Word("when it was read; never before an earlier read of the same URI, whatever the clocks said"),
    "codec": Word("how the audio is coded, by what its bytes say"),
    "sample_rate_hz": Word("samples a second, as recorded", "Hz"),
    "n_channels": Word("channels in the file"),
    "seconds": Word("how long the recording is", "s"),
    "speech_s": Word("speech in it, of all analysed channels", "s"),
    "n_segments": Word("utterances found in it"),
    "peak_db": Word("the largest sample", "dBFS"),
    "clipped_share": Word("samples that are clipped", "0 to 1"),
    "bit_rate_bps": Word("the file's bits a second of audio", "bit/s"),
    "channels": Word("the channels that were analysed"),
    "speech_ratio": Word("speech, of the time of all analysed channels", "0 to 1"),
    "loudness_lufs": Word("integrated loudness, ITU-R BS.1770", "LUFS"),
    "snr_db": Word("speech above what is heard between it", "dB"),
    "bandwidth_hz": Word("the frequency up to which there is content", "Hz"),
    "tags_dropped": Word("names of the file's tags; their values are kept nowhere"),
    "status": Word("ok or rejected"),
    "reason": Word("why it was rejected, one of a fixed vocabulary"),
    "error": Word("the decoder's own words"),
    "emotion_model": Word("the model that scored: name, version and the beginning of its digest"),
    "speaker_model": Word("the model that told voices apart: name, version and the beginning of its digest"),
    "feature_version": Word("the fingerprint of code and configuration that computed the features"),
    "version": Word("the feature version: a folder's name"),
    "run_id": Word("the run that wrote the row last"),
    "date": Word("the date under which the recording lies"),
    "emotion": Word("the class with the highest score; null where none was told"),
    "speaker_id": Word("who spoke: a person's id or a pseudonym; forgotten: somebody who was forgotten"),
    "n_utterances": Word("utterances"),
    "source": Word(
        "where it comes from: the manifest's column source, else the folder below the date's, else the corpus"
    ),
    "n_frames": Word("frames, one every 10 ms"),
}
"""What columns mean wherever they stand."""

_OWN: dict[str, dict[str, Word]] = {
    "utterances": {
        "channel_name": Word("who speaks on the channel (agent, customer), where channels have names"),
        "emotion_reason": Word("why there is no emotion: too_little_speech, no_classes"),
        "arousal": Word("excited or calm; where the model tells it, on the model's own scale"),
        "valence": Word("pleasant or unpleasant; where the model tells it, on the model's own scale"),
        "dominance": Word("in control or not; where the model tells it, on the model's own scale"),
        "speaker_score": Word(
            "the probability that the voice is this speaker's: the calibrated cosine of the embeddings", "0 to 1"
        ),
        "speaker_known": Word("whether the speaker is enrolled by name"),
    },
    "speakers": {
        "name": Word("the name given, or the pseudonym"),
        "kind": Word("enrolled: known by name; found: a pseudonym; merged: another's, see merged_into"),
        "first_seen": Word("the first date with an utterance of theirs"),
        "last_seen": Word("the last date with an utterance of theirs"),
        "speech_s": Word("their speech", "s"),
        "centroid": Word("the mean of their embeddings, of length 1"),
        "extractor": Word("the digest of the encoder in whose space the centroid lies"),
        "sources": Word("the recordings that they were enrolled from"),
        "merged_into": Word("of a merged voice: whose it is"),
    },
    "emotion_daily": {
        "speaker_kind": Word("enrolled: known by name; found: a pseudonym; forgotten"),
        "speech_s": Word("the utterances' length, added up", "s"),
        "mean_score": Word("the mean of the winning class's score", "0 to 1"),
        "score_low": Word("where its 95 % interval begins, recordings as clusters; null of one recording", "0 to 1"),
        "score_high": Word("where its 95 % interval ends", "0 to 1"),
    },
    "quality_daily": {
        "n_recordings": Word("recordings, copies under other names too"),
        "n_ok": Word("of those: usable"),
        "n_rejected": Word("of those: rejected"),
        "seconds": Word("length of the usable ones, added up", "s"),
        "speech_s": Word("speech in the usable ones, added up", "s"),
        "n_abstained": Word("utterances with too little voice to tell an emotion"),
        "clipped_share": Word("samples that are clipped, the mean of the usable ones", "0 to 1"),
    },
    "rejects_daily": {"n": Word("recordings"), "reason": Word("why they were rejected, one of a fixed vocabulary")},
    "feature_daily": {
        "feature": Word("an eGeMAPS functional, or embedding"),
        "feature_version": Word("the features' fingerprint; others are not compared"),
        "n_recordings": Word("recordings that have it"),
        "n_utterances": Word("utterances that have it"),
        "buckets": Word("the histogram's buckets that hold any, rising"),
        "counts": Word("utterances in each of those"),
        "total": Word("of embedding: the sum of all"),
    },
    "drift": {
        "measure": Word("class_mix, abstained, rejected, embedding, or an eGeMAPS functional"),
        "method": Word("psi: population stability index; share: of the whole; cosine: 1 - cosine of the means"),
        "value": Word("the distance, from 0; null where there is too little to compare"),
        "threshold": Word("from where it counts as drift"),
        "over": Word("whether it has passed that"),
        "n": Word("utterances of the date; of rejected, recordings"),
        "n_reference": Word("the same of the days before"),
    },
    "speaker_daily": {"speech_s": Word("the utterances' length, added up", "s")},
    "runs": {
        "run_id": Word("the run: when it began, and six random digits"),
        "flow": Word("what ran: nightly, backfill, retry, or the command that changed something"),
        "status": Word("done, or running: it has published some of its dates"),
        "window_from": Word("the first date that it was for"),
        "window_to": Word("the last date that it was for"),
        "started": Word("when it began"),
        "finished": Word("when it had published"),
        "code_version": Word("Undertone's version"),
        "n_listed": Word("objects listed"),
        "n_known": Word("of those: known already"),
        "n_read": Word("objects read"),
        "n_ok": Word("of those: usable"),
        "n_rejected": Word("of those: rejected"),
        "bytes_read": Word("audio read; 0 where stored features were scored", "bytes"),
        "n_scored": Word("utterances that the emotion model was asked about"),
        "n_published_recordings": Word("recordings published"),
        "n_published_utterances": Word("utterances published"),
        "n_new_speakers": Word("voices heard for the first time"),
        "audio_hours": Word("audio read", "h"),
        "rtfx": Word("seconds of audio a second of the clock"),
        "verdict": Word("the audit's: passed, warned or nothing_to_check"),
        "validation": Word("where the Data Docs are"),
        "versions": Word("JSON: the Delta version of each table just before this row was written"),
    },
    "suprasegmental": {"suprasegmental": Word("in the order of undertone.SUPRASEGMENTAL_NAMES")},
    "embeddings": {"embedding": Word("of length 1")},
    "emotion_embeddings": {"embedding": Word("of any length")},
    "logmel": {"n_mels": Word("mel bands"), "logmel": Word("natural logarithm of the bands' power, frame by frame")},
    "lld": {
        "n_descriptors": Word("descriptors"),
        "lld": Word("in the order of undertone.LLD_NAMES, frame by frame"),
        "voiced": Word("whether a frame is voiced"),
    },
    "segments": {"level_db": Word("root mean square of the stretch", "dBFS")},
    "recordings": {
        "recording_id": Word("SHA-256 of the audio's bytes, its first 32 hex digits; null where unreadable")
    },
    "rejects": {"date": Word("the date under which the object lies")},
}
"""What columns mean in one table, or there alone."""


def word(table: str, column: str) -> Word:
    """What a column means, of a table or a feature set by its folder's name. Raises KeyError where nobody said."""
    own = _OWN.get(table, {})
    if column in own:
        return own[column]
    if table == "egemaps" and column not in _COMMON:
        return Word(*functional(column))
    if table == "utterances" and column.startswith("score_"):
        return Word(f"how much the emotion model believes in {column.removeprefix('score_')}", "0 to 1")
    spread = re.fullmatch(r"(\w+?)(?:_(p10|p90))?", column)
    if table == "quality_daily" and spread and spread[1] in QUALITY_MEASURES:
        common, which = (
            _COMMON[spread[1]],
            {"p10": "10th percentile", "p90": "90th percentile"}.get(spread[2], "median"),
        )
        return Word(f"{common.meaning}: {which} of the usable recordings", common.unit)
    stage = re.fullmatch(r"(\w+)_s", column)
    if table == "runs" and stage:
        return Word(f"time spent in the stage {stage[1]}", "s")
    return _COMMON[column]
