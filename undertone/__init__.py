"""Public API of Undertone: read a lake, measure speech, register a classifier.

    >>> import undertone as ut
    >>> lake = ut.open("demo-lake")  # a folder, or an s3://, gs:// or az:// URL
    >>> lake.scan("utterances").collect().columns[:3]  # a Polars LazyFrame, collected
    ['recording_id', 'channel', 'segment']
    >>> lake.sql("SELECT count(*) AS n FROM utterances").item()  # DuckDB; a Polars DataFrame
    2

The names in `__all__` are what other people's code may rely on. The other packages of this distribution
(`data_contracts`, `features`, `models`, `tasks`, `flows`) are internal. Importing this one loads no library: torch
comes with the first of the audio functions, Polars and DuckDB with the first lake.
"""

from typing import TYPE_CHECKING

from data_contracts.errors import (
    CredentialsError,
    LakeError,
    ModelError,
    TransientError,
    UndertoneError,
    UsageError,
)
from undertone._lake import Lake, open  # noqa: A004 - shadows the built-in for the sake of `ut.open(URI)`

if TYPE_CHECKING:
    from undertone._audio import (
        EGEMAPS_NAMES,
        LLD_NAMES,
        SUPRASEGMENTAL_NAMES,
        EgemapsConfig,
        egemaps,
        egemaps_lld,
        f0_track,
        formant_track,
        suprasegmental,
    )
    from undertone._classifier import register_emotion_classifier
else:

    def __getattr__(name: str) -> object:
        """Import a name on first use. Type checkers do not see this function, so they report a misspelt name."""
        if name not in __all__:
            raise AttributeError(f"module 'undertone' has no attribute {name!r}")
        from importlib import import_module

        home = "undertone._classifier" if name == "register_emotion_classifier" else "undertone._audio"
        value = globals()[name] = getattr(import_module(home), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "EGEMAPS_NAMES",
    "LLD_NAMES",
    "SUPRASEGMENTAL_NAMES",
    "CredentialsError",
    "EgemapsConfig",
    "Lake",
    "LakeError",
    "ModelError",
    "TransientError",
    "UndertoneError",
    "UsageError",
    "__version__",
    "egemaps",
    "egemaps_lld",
    "f0_track",
    "formant_track",
    "open",
    "register_emotion_classifier",
    "suprasegmental",
]

__version__ = "0.1.0"  # pyproject.toml reads it here
