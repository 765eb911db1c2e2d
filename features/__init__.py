"""Audio in, tensors through, Parquet out: decoding, speech detection, DSP, eGeMAPS, the feature store."""

import importlib
from typing import Any

__all__ = [
    "EGEMAPS_NAMES",
    "LLD_NAMES",
    "SUPRASEGMENTAL_NAMES",
    "egemaps",
    "egemaps_lld",
    "f0_track",
    "formant_track",
    "suprasegmental",
]

_HOME = {
    "EGEMAPS_NAMES": "features.gemaps",
    "LLD_NAMES": "features.gemaps",
    "SUPRASEGMENTAL_NAMES": "features.contours",
    "egemaps": "features.gemaps",
    "egemaps_lld": "features.gemaps",
    "f0_track": "features.f0",
    "formant_track": "features.formants",
    "suprasegmental": "features.contours",
}


def __getattr__(name: str) -> Any:
    """Imports on first use: those who read the store alone do not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'features' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
