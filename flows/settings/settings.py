"""Settings of where Undertone runs: `undertone.toml`, `UNDERTONE_…` variables and flags, in rising order."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from data_contracts.addresses import normalize
from data_contracts.channel_names import channel_names
from data_contracts.emotion_prior import normalize_prior
from data_contracts.errors import UsageError
from data_contracts.lake_addresses import lake_address
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import SHARD_BYTES
from features.corpus.layout import DEFAULT_LAYOUT, Corpus
from flows.settings.notification import NotificationSettings
from flows.settings.unknown_names import nearest, unknown_variables, warn_once

if TYPE_CHECKING:
    from data_contracts.lake import Lake
    from models.registry.mlflow_registry import Registry

_MLFLOW_ELSEWHERE = ("MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")
_SECRET = {"notify", "pseudonym_key"}


class Settings(NotificationSettings):
    """All settings with their meaning; docs/settings.md is generated from them."""

    model_config = SettingsConfigDict(extra="forbid")

    corpus: str = Field("", description="where the audio is: a folder or any fsspec URL")
    lake: str = Field("", description="where features and tables go: a folder or an s3://, gs:// or az:// URL")
    layout: str = Field(DEFAULT_LAYOUT, description="how objects lie by date: a template with {date:…}, or 'modified'")
    manifest: str | None = Field(None, description="a Parquet, CSV or JSONL with a `uri` column, instead of a listing")
    hidden: bool = Field(
        False, description="list hidden, system and half-transferred files too (.name, Thumbs.db, lost+found, *.part)"
    )
    look_back_days: int = Field(
        3, ge=0, description="nights before the nightly's date in which late objects are sought"
    )
    shard_bytes: int = Field(
        SHARD_BYTES,
        gt=0,
        description="audio bytes in a shard, at most; a small night has smaller ones, so that all work",
    )
    cluster: str = Field("auto", description="auto, threads, processes, cuda, or tcp://… of a standing Dask scheduler")
    workers: int = Field(0, ge=0, description="workers of a cluster of our own; 0: one a core, or one a GPU")
    rmm_pool: float = Field(
        0.5, ge=0, lt=1, description="share of a GPU's memory that RMM's pool begins with, if installed"
    )
    readers: int = Field(16, ge=1, description="objects that a worker reads at the same time")
    decoders: int = Field(
        0, ge=0, description="decoder processes of a worker; 0: one, or beside a GPU its share of the cores"
    )
    decode_timeout_s: int = Field(
        60, ge=1, description="seconds without a sign of life after which a decoder is ended, and its file rejected"
    )
    memory_mb: int = Field(2_000, description="memory (MB) of a worker and its decoders together, at most")
    long_s: float = Field(1_800.0, description="seconds: longer recordings are split over tasks by time")
    channels: str = Field(
        "mix", description="channels to analyse: mix, each (for itself), left, right or a channel's number from 0"
    )
    max_s: float = Field(
        86_400.0, gt=0, description="seconds: a longer recording, or one that says so, is rejected as too_long"
    )
    truncated_share: float = Field(
        0.5, ge=0, le=1, description="share of a truncated file's promised length that must decode, or it is rejected"
    )
    strict: bool = Field(False, description="reject every truncated file: a truncated_share of 1")
    keep_truncated: bool = Field(False, description="keep what decodes of a truncated file: a truncated_share of 0")
    dc: Literal["none", "high_pass"] = Field(
        "high_pass", description="high_pass: no offset, rumble or hum below 61 Hz reaches the features"
    )
    resampler: Literal["HQ", "VHQ", "MQ"] = Field("HQ", description="soxr's quality")
    denoise: Literal["none", "wiener"] = Field("none", description="wiener: steady noise is suppressed")
    level_lufs: float | None = Field(None, description="loudness (LUFS, ITU-R BS.1770) to which each signal is brought")
    vad: Literal["silero", "energy"] = Field("silero", description="detector of speech")
    speaker_changes: bool = Field(True, description="split stretches of speech where another voice begins")
    channel_names: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="names of the channels (agent,customer), where each is analysed for itself"
    )
    logmel: bool = Field(False, description="store log-mel frames too, for those who train")
    lld: bool = Field(False, description="store the 25 descriptors of eGeMAPS frame by frame too, for those who train")
    registry: str = Field(
        "", description="MLflow tracking URI; else MLFLOW_TRACKING_URI; else a database beside the lake"
    )
    evaluation_corpus: str = Field(
        "", description="labelled speech on which `models promote` compares a challenger with the champion"
    )
    emotion_prior: str = Field(
        "natural",
        description="shares of the emotions before anything is heard: natural (mostly neutral), balanced (all alike), "
        "or such as anger=0.1,neutral=0.8",
    )
    pseudonym_key: str = Field("undertone", description="the secret in the hash that names unknown speakers")
    pack_after_days: int = Field(7, ge=0, description="days after which `maintain` packs a date's feature files")
    keep_versions_days: int = Field(
        7, ge=1, le=30, description="days for which `maintain` keeps older versions of tables readable"
    )
    keep_stagings_days: int = Field(30, ge=1, description="days for which `maintain` keeps what failed runs left")
    keep_reports_days: int = Field(400, ge=1, description="days for which `maintain` keeps validation reports")
    publish_recordings: int = Field(
        50_000, ge=1, description="recordings that are staged, audited and published at a time; a date at least"
    )
    drift_days: int = Field(28, ge=1, description="days before a day with which it is compared")
    drift_least_days: int = Field(7, ge=1, description="days with data among them, below which there is no verdict")
    drift_least_recordings: int = Field(
        20, ge=1, description="recordings of a day, and of those before it, below which there is no verdict"
    )
    drift_least_utterances: int = Field(
        100, ge=1, description="utterances of a day, and of those before it, below which there is no verdict"
    )
    drift_psi: float = Field(
        0.25, gt=0, description="population stability index from which emotions, or a feature, have drifted"
    )
    drift_share: float = Field(
        0.1, gt=0, le=1, description="change of the share of abstentions, or of rejects, from which it is drift"
    )
    drift_cosine: float = Field(
        0.1, gt=0, le=2, description="cosine distance of mean speaker embeddings from which it is drift"
    )
    store_patience_s: float = Field(
        120.0, ge=0, description="seconds for which an object store that does not answer is asked again"
    )
    store_timeout_s: float = Field(30.0, gt=0, description="seconds without an answer until a request is given up")
    shard_tries: int = Field(3, ge=1, description="how often a shard is tried when the network or a worker fails")

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """Load the settings in force; warn once of variables that are none.

        Raises UsageError with the setting's name, its value and what was expected.
        """
        for line in cls.unknown_variables():
            warn_once(line)
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as error:
            raise UsageError("settings: " + "; ".join(map(_describe_error, error.errors()))) from error

    @classmethod
    def unknown_variables(cls) -> list[str]:
        """Return a line on each `UNDERTONE_…` variable that is no setting."""
        return unknown_variables(os.environ, cls.model_fields)

    @field_validator("corpus", "lake", "manifest", "evaluation_corpus")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        """Give every place its one spelling, and make folders absolute: workers start elsewhere."""
        try:
            return normalize(value) if value else value
        except UsageError as error:
            raise ValueError(str(error)) from error

    @field_validator("cluster")
    @classmethod
    def _known_cluster(cls, value: str) -> str:
        if value in {"auto", "threads", "processes", "cuda"} or value.startswith(("tcp://", "tls://")):
            return value
        raise ValueError("expected auto, threads, processes, cuda or tcp://HOST:PORT")

    @field_validator("emotion_prior")
    @classmethod
    def _known_prior(cls, value: str) -> str:
        try:
            return normalize_prior(value)
        except UsageError as error:
            raise ValueError(str(error)) from error

    @field_validator("channel_names", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> tuple[str, ...]:
        return channel_names(value)

    def lake_uri(self) -> str:
        """Return the lake's URI. Raises UsageError where none is set, or no lake can lie there."""
        if not self.lake:
            raise UsageError("where is the lake? Found none; give --lake DIR_OR_URL or set UNDERTONE_LAKE")
        return lake_address(self.lake)

    def open_lake(self) -> "Lake":
        from data_contracts import lake as lakes  # starts threads; a command forks its workers' parent before

        return lakes.open(self.lake_uri(), self.retry_policy)

    def open_corpus(self) -> Corpus:
        return Corpus(
            self.corpus,
            layout=self.layout,
            manifest=self.manifest,
            hidden=self.hidden,
            own_folders=tuple(filter(None, (self.lake, *_state_folders()))),
            retry_policy=self.retry_policy,
        )

    @property
    def retry_policy(self) -> RetryPolicy:
        return RetryPolicy(self.store_patience_s, self.store_timeout_s)

    def open_registry(self, lake: "Lake") -> "Registry":
        """Open the model registry of `lake`."""
        from models.registry.mlflow_registry import Registry

        return Registry(self.registry_uri(lake), lake.uri_of("registry", "artifacts"), self.retry_policy)

    def mlflow_variables_passed_over(self) -> list[str]:
        """Return the variables that steer MLflow elsewhere and not here: a folder of runs, an active run, …."""
        from models.registry.addresses import is_file_store

        tracking = os.environ.get("MLFLOW_TRACKING_URI", "")
        ignored = [] if self.registry or not is_file_store(tracking) else ["MLFLOW_TRACKING_URI"]
        return ignored + [name for name in _MLFLOW_ELSEWHERE if os.environ.get(name)]

    def registry_uri(self, lake: "Lake") -> str:
        """Return MLflow's address: as set, beside a local lake, or one for each lake in the user's state folder."""
        from models.registry.addresses import is_file_store, registry_address

        if self.registry:
            return registry_address(self.registry, "UNDERTONE_REGISTRY, or `registry` in undertone.toml")
        tracking = os.environ.get("MLFLOW_TRACKING_URI")
        if tracking and not is_file_store(tracking):
            return registry_address(tracking, "MLFLOW_TRACKING_URI")
        if lake.is_local:
            return f"sqlite:///{lake.uri_of('registry', 'mlflow.db')}"
        name = hashlib.sha256(lake.uri.encode()).hexdigest()[:12]
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        return f"sqlite:///{state / 'undertone' / name / 'mlflow.db'}"


def _state_folders() -> list[str]:
    """Return the folders of state that the environment names; by default they are hidden ones in the home."""
    state = os.environ.get("XDG_STATE_HOME")
    return [*([f"{state}/undertone"] if state else []), os.environ.get("PREFECT_HOME") or ""]


def _describe_error(error: Any) -> str:
    """Return one of pydantic's errors in our words; a secret's value is not shown."""
    if error["type"] == "extra_forbidden":
        return f"{error['loc'][0]}: there is no such setting; {nearest(str(error['loc'][0]), Settings.model_fields)}"
    found = "" if error["loc"][0] in _SECRET else f"; found {error['input']!r}"
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}{found}"
