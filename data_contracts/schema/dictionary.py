"""Data dictionary: the meaning of every table, feature set and column, behind `undertone tables` and docs/tables.md.

A test holds that every column of a table or a feature set is documented, and that every entry has a column.
"""

import re
from dataclasses import dataclass

from data_contracts.schema.functional_names import functional_doc
from data_contracts.schema.tables import QUALITY_MEASURES


@dataclass(frozen=True)
class ColumnDoc:
    """Meaning of a column; `unit` is empty where there is none to name."""

    meaning: str
    unit: str = ""


TABLE_DOCS: dict[str, str] = {
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
"""Meaning of a row of each analytics table."""

FEATURE_SET_DOCS: dict[str, str] = {
    "recordings": "an object that was read, as often as it was read",
    "segments": "a stretch of speech: where it lies",
    "egemaps": "an utterance's 88 functionals of eGeMAPS (Eyben et al. 2016)",
    "suprasegmental": "an utterance's statistics of contours, timbre and rhythm",
    "embeddings": "an utterance's speaker embedding",
    "emotion_embeddings": "what the shipped extractor heard in an utterance, for emotion models; or a pulled model's",
    "logmel": "an utterance's log-mel frames; stored where UNDERTONE_LOGMEL is set",
    "lld": "an utterance's 25 descriptors of eGeMAPS by frame; stored where UNDERTONE_LLD is set",
}
"""Meaning of a row of each feature set."""

_COMMON: dict[str, ColumnDoc] = {
    "recording_id": ColumnDoc("SHA-256 of the audio's bytes, its first 32 hex digits"),
    "channel": ColumnDoc("the channel that was analysed, from 0; 0 where all were mixed too"),
    "segment": ColumnDoc("the utterance's number on its channel, by time, from 0"),
    "start_s": ColumnDoc("where it begins in the recording", "s"),
    "end_s": ColumnDoc("where it ends in the recording", "s"),
    "level_db": ColumnDoc("root mean square", "dBFS"),
    "uri": ColumnDoc("where the object lies, or lay"),
    "etag": ColumnDoc("the content's mark, as the store says it"),
    "bytes": ColumnDoc("the object's size", "bytes"),
    "modified": ColumnDoc("when the object was written, as the store says it"),
    "attributes": ColumnDoc("the manifest's further columns, as JSON"),
    "tries": ColumnDoc("how often this content was read, this time included"),
    "read_at": ColumnDoc("when it was read; never before an earlier read of the same URI, whatever the clocks said"),
    "codec": ColumnDoc("how the audio is coded, by what its bytes say"),
    "sample_rate_hz": ColumnDoc("samples a second, as recorded", "Hz"),
    "n_channels": ColumnDoc("channels in the file"),
    "seconds": ColumnDoc("how long the recording is", "s"),
    "speech_s": ColumnDoc("speech in it, of all analysed channels", "s"),
    "n_segments": ColumnDoc("utterances found in it"),
    "peak_db": ColumnDoc("the largest sample", "dBFS"),
    "clipped_share": ColumnDoc("samples that are clipped", "0 to 1"),
    "bit_rate_bps": ColumnDoc("the file's bits a second of audio", "bit/s"),
    "channels": ColumnDoc("the channels that were analysed"),
    "speech_ratio": ColumnDoc("speech, of the time of all analysed channels", "0 to 1"),
    "loudness_lufs": ColumnDoc("integrated loudness, ITU-R BS.1770", "LUFS"),
    "snr_db": ColumnDoc("speech above what is heard between it", "dB"),
    "bandwidth_hz": ColumnDoc("the frequency up to which there is content", "Hz"),
    "tags_dropped": ColumnDoc("names of the file's tags; their values are kept nowhere"),
    "truncated_s": ColumnDoc(
        "what the file promises and does not hold, estimated; 0 where it is whole; null of most rejects, and of what "
        "was read before this was measured",
        "s",
    ),
    "status": ColumnDoc("ok or rejected"),
    "reason": ColumnDoc("why it was rejected, one of a fixed vocabulary"),
    "error": ColumnDoc("the decoder's own words; of a usable recording: what is missing, not read or odd in it"),
    "emotion_model": ColumnDoc("the model that scored: name, version and the beginning of its digest"),
    "emotion_prior": ColumnDoc(
        "shares expected of the emotions: natural, balanced or shares; null of models that others trained, and of what "
        "was published before there was one"
    ),
    "speaker_model": ColumnDoc("the model that told voices apart: name, version and the beginning of its digest"),
    "feature_version": ColumnDoc("the fingerprint of code and configuration that computed the features"),
    "version": ColumnDoc("the feature version: a folder's name"),
    "run_id": ColumnDoc("the run that wrote the row last"),
    "date": ColumnDoc("the date under which the recording lies"),
    "emotion": ColumnDoc("the class with the highest score; null where none was told"),
    "speaker_id": ColumnDoc("who spoke: a person's id or a pseudonym; forgotten: somebody who was forgotten"),
    "n_utterances": ColumnDoc("utterances"),
    "source": ColumnDoc(
        "where it comes from: the manifest's column source, else the folder below the date's, else the corpus"
    ),
    "n_frames": ColumnDoc("frames, one every 10 ms"),
}
"""Columns that mean the same in every table."""

_BY_TABLE: dict[str, dict[str, ColumnDoc]] = {
    "utterances": {
        "channel_name": ColumnDoc("who speaks on the channel (agent, customer), where channels have names"),
        "emotion_reason": ColumnDoc("why there is no emotion: too_little_speech, no_classes"),
        "arousal": ColumnDoc("excited or calm; where the model tells it, on the model's own scale"),
        "valence": ColumnDoc("pleasant or unpleasant; where the model tells it, on the model's own scale"),
        "dominance": ColumnDoc("in control or not; where the model tells it, on the model's own scale"),
        "speaker_id": ColumnDoc("who spoke: an id or a pseudonym; forgotten; null where speaker_reason says why"),
        "speaker_reason": ColumnDoc("why there is no speaker: too_little_speech"),
        "speaker_score": ColumnDoc(
            "the probability that the voice is this speaker's, by likeness and by how much speech was compared",
            "0 to 1",
        ),
        "speaker_known": ColumnDoc("whether the speaker is enrolled by name"),
    },
    "speakers": {
        "name": ColumnDoc("the name given, or the pseudonym"),
        "kind": ColumnDoc("enrolled: known by name; found: a pseudonym; merged: another's, see merged_into"),
        "first_seen": ColumnDoc("the first date with an utterance of theirs"),
        "last_seen": ColumnDoc("the last date with an utterance of theirs"),
        "speech_s": ColumnDoc("their speech", "s"),
        "centroid": ColumnDoc("the mean of the embeddings by which they are known, of length 1"),
        "centroid_s": ColumnDoc("speech behind the centroid; null of what was published before it was kept", "s"),
        "extractor": ColumnDoc("the digest of the encoder in whose space the centroid lies"),
        "sources": ColumnDoc("the recordings that they were enrolled from"),
        "merged_into": ColumnDoc("of a merged voice: whose it is"),
    },
    "emotion_daily": {
        "speaker_kind": ColumnDoc("enrolled: known by name; found: a pseudonym; forgotten; unknown: too little speech"),
        "speech_s": ColumnDoc("the utterances' length, added up", "s"),
        "mean_score": ColumnDoc("the mean of the winning class's score", "0 to 1"),
        "score_low": ColumnDoc(
            "where its 95 % interval begins, recordings as clusters; null of one recording", "0 to 1"
        ),
        "score_high": ColumnDoc("where its 95 % interval ends", "0 to 1"),
    },
    "quality_daily": {
        "n_recordings": ColumnDoc("recordings, copies under other names too"),
        "n_ok": ColumnDoc("of those: usable"),
        "n_rejected": ColumnDoc("of those: rejected"),
        "seconds": ColumnDoc("length of the usable ones, added up", "s"),
        "speech_s": ColumnDoc("speech in the usable ones, added up", "s"),
        "n_abstained": ColumnDoc("utterances with too little voice to tell an emotion"),
        "clipped_share": ColumnDoc("samples that are clipped, the mean of the usable ones", "0 to 1"),
        "n_truncated": ColumnDoc("usable ones that lack a part; null of days published before they were counted"),
        "truncated_s": ColumnDoc("what those lack, estimated, added up; null as n_truncated is", "s"),
    },
    "rejects_daily": {
        "n": ColumnDoc("recordings"),
        "reason": ColumnDoc("why they were rejected, one of a fixed vocabulary"),
    },
    "feature_daily": {
        "feature": ColumnDoc("an eGeMAPS functional, or embedding"),
        "feature_version": ColumnDoc("the features' fingerprint; others are not compared"),
        "n_recordings": ColumnDoc("recordings that have it"),
        "n_utterances": ColumnDoc("utterances that have it"),
        "buckets": ColumnDoc("the histogram's buckets that hold any, rising"),
        "counts": ColumnDoc("utterances in each of those"),
        "total": ColumnDoc("of embedding: the sum of all"),
    },
    "drift": {
        "measure": ColumnDoc("class_mix, abstained, rejected, embedding, or an eGeMAPS functional"),
        "method": ColumnDoc("psi: population stability index; share: of the whole; cosine: 1 - cosine of the means"),
        "value": ColumnDoc("the distance, from 0; null where there is too little to compare"),
        "threshold": ColumnDoc("from where it counts as drift"),
        "over": ColumnDoc("whether it has passed that"),
        "n": ColumnDoc("utterances of the date; of rejected, recordings"),
        "n_reference": ColumnDoc("the same of the days before"),
    },
    "speaker_daily": {"speech_s": ColumnDoc("the utterances' length, added up", "s")},
    "runs": {
        "run_id": ColumnDoc("the run: when it began, and six random digits"),
        "flow": ColumnDoc("what ran: nightly, backfill, retry, or the command that changed something"),
        "status": ColumnDoc("done, or running: it has published some of its dates"),
        "window_from": ColumnDoc("the first date that it was for"),
        "window_to": ColumnDoc("the last date that it was for"),
        "started": ColumnDoc("when it began"),
        "finished": ColumnDoc("when it had published"),
        "code_version": ColumnDoc("Undertone's version"),
        "n_listed": ColumnDoc("objects listed"),
        "n_known": ColumnDoc("of those: known already"),
        "n_read": ColumnDoc("objects read"),
        "n_ok": ColumnDoc("of those: usable"),
        "n_rejected": ColumnDoc("of those: rejected"),
        "bytes_read": ColumnDoc("audio read; 0 where stored features were scored", "bytes"),
        "n_scored": ColumnDoc("utterances that the emotion model was asked about"),
        "n_published_recordings": ColumnDoc("recordings published"),
        "n_published_utterances": ColumnDoc("utterances published"),
        "n_new_speakers": ColumnDoc("voices heard for the first time"),
        "audio_hours": ColumnDoc("audio read", "h"),
        "rtfx": ColumnDoc("seconds of audio a second of the clock"),
        "verdict": ColumnDoc("the audit's: passed, warned or nothing_to_check"),
        "validation": ColumnDoc("where the Data Docs are"),
        "versions": ColumnDoc("JSON: the Delta version of each table just before this row was written"),
    },
    "suprasegmental": {"suprasegmental": ColumnDoc("in the order of undertone.SUPRASEGMENTAL_NAMES")},
    "embeddings": {"embedding": ColumnDoc("of length 1")},
    "emotion_embeddings": {"embedding": ColumnDoc("of any length")},
    "logmel": {
        "n_mels": ColumnDoc("mel bands"),
        "logmel": ColumnDoc("natural logarithm of the bands' power, frame by frame"),
    },
    "lld": {
        "n_descriptors": ColumnDoc("descriptors"),
        "lld": ColumnDoc("in the order of undertone.LLD_NAMES, frame by frame"),
        "voiced": ColumnDoc("whether a frame is voiced"),
    },
    "segments": {"level_db": ColumnDoc("root mean square of the stretch", "dBFS")},
    "recordings": {
        "recording_id": ColumnDoc("SHA-256 of the audio's bytes, its first 32 hex digits; null where unreadable")
    },
    "rejects": {"date": ColumnDoc("the date under which the object lies")},
}
"""Columns of one table, or with another meaning there."""


def column_doc(table: str, column: str) -> ColumnDoc:
    """Look up a column of a table or a feature set (by its folder's name). Raises KeyError for an unknown column."""
    own = _BY_TABLE.get(table, {})
    if column in own:
        return own[column]
    if table == "egemaps" and column not in _COMMON:
        return ColumnDoc(*functional_doc(column))
    if table == "utterances" and column.startswith("score_"):
        return ColumnDoc(f"how much the emotion model believes in {column.removeprefix('score_')}", "0 to 1")
    spread = re.fullmatch(r"(\w+?)(?:_(p10|p90))?", column)
    if table == "quality_daily" and spread and spread[1] in QUALITY_MEASURES:
        common, which = (
            _COMMON[spread[1]],
            {"p10": "10th percentile", "p90": "90th percentile"}.get(spread[2], "median"),
        )
        return ColumnDoc(f"{common.meaning}: {which} of the usable recordings", common.unit)
    stage = re.fullmatch(r"(\w+)_s", column)
    if table == "runs" and stage:
        return ColumnDoc(f"time spent in the stage {stage[1]}", "s")
    return _COMMON[column]
