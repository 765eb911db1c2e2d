"""Generator of docs/settings.md from the fields of `Settings`: `python -m flows.settings.page`."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from flows.settings import Settings

_HEAD = """# Settings

Made by `make docs` from `flows.settings.Settings`; a test holds it true. A setting is given, in
rising order, by a key of `undertone.toml` in the working folder, by an environment variable, or by
a flag of the command where it has one:

| `undertone.toml` | environment | flag |
|---|---|---|
| `look_back_days = 5` | `UNDERTONE_LOOK_BACK_DAYS=5` | |
| `corpus = "s3://calls"` | `UNDERTONE_CORPUS=s3://calls` | `--corpus s3://calls` |
| `channel_names = ["agent", "customer"]` | `UNDERTONE_CHANNEL_NAMES=agent,customer` | |

Settings marked with **F** are part of the [feature version](concepts.md#feature-version): where
they change, audio is read again. Flags: `--corpus`, `--lake`, `--layout`, `--manifest` and
`--cluster` of all runs, `--shard-bytes` and `--workers` of a backfill. Credentials, endpoint and
region of S3 are the usual AWS settings (`AWS_PROFILE`, `AWS_ENDPOINT_URL`, `AWS_REGION`, …);
`MLFLOW_TRACKING_URI` and `PREFECT_API_URL` are honoured.
"""

GROUPS: dict[str, tuple[str, ...]] = {
    "Corpus and lake": ("corpus", "lake", "layout", "manifest", "hidden", "look_back_days"),
    "Audio": (
        *("channels", "channel_names", "dc", "resampler", "denoise", "level_lufs", "vad", "speaker_changes"),
        *("max_s", "truncated_share", "strict", "keep_truncated", "long_s", "logmel", "lld"),
    ),
    "Compute": (
        *("cluster", "workers", "readers", "decoders", "decode_timeout_s", "memory_mb", "rmm_pool"),
        *("shard_bytes", "shard_tries"),
    ),
    "Object stores": ("store_patience_s", "store_timeout_s"),
    "Models and speakers": ("registry", "emotion_prior", "evaluation_corpus", "pseudonym_key"),
    "Publication": ("publish_recordings",),
    "Drift": (
        *("drift_days", "drift_psi", "drift_share", "drift_cosine"),
        *("drift_least_days", "drift_least_recordings", "drift_least_utterances"),
    ),
    "Notifications": ("notify", "notify_on"),
    "Maintenance": ("pack_after_days", "keep_versions_days", "keep_stagings_days", "keep_reports_days"),
}
"""Each setting under one heading, in the order of the page."""

IN_THE_FEATURE_VERSION = frozenset(
    {
        *("channels", "dc", "resampler", "denoise", "level_lufs", "vad", "speaker_changes"),
        *("max_s", "truncated_share", "strict", "keep_truncated", "logmel", "lld"),
    }
)


def as_markdown() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for group, names in GROUPS.items():
        rows = [_row(name, Settings.model_fields[name]) for name in names]
        yield "\n".join([f"## {group}", "", "| setting | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _row(name: str, field: FieldInfo) -> str:
    mark = " **F**" if name in IN_THE_FEATURE_VERSION else ""
    meaning = str(field.description).replace("|", "\\|")
    return f"| `{name}`{mark} | {_kind(field.annotation)} | {_default(field.default)} | {meaning} |"


def _kind(annotation: Any) -> str:
    """Return the name of a type as people call it.

    >>> _kind(str | None), _kind(tuple[str, ...]), _kind(Literal["HQ", "MQ"])
    ('text', 'list of text', '`HQ` or `MQ`')
    """
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{word}`" for word in get_args(annotation))
    if get_origin(annotation) is tuple:
        return f"list of {_kind(get_args(annotation)[0])}"
    plain = {str: "text", int: "integer", float: "number", bool: "true or false", SecretStr: "URL"}
    return plain.get(annotation) or _kind(next(part for part in get_args(annotation) if part is not type(None)))


def _default(value: Any) -> str:
    """Return the default as undertone.toml writes it; empty where there is none.

    >>> _default(50_000), _default(True), _default("mix"), _default(()), _default(None)
    ('`50000`', '`true`', '`mix`', '', '')
    """
    if value in (None, "", ()):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`"
    return f"`{value:.15g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    print(as_markdown(), end="")
