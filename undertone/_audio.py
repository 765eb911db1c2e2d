"""Acoustic measures of speech for a padded batch: eGeMAPS, suprasegmental statistics, F0 and formants."""

from features.contours import SUPRASEGMENTAL_NAMES, suprasegmental
from features.f0 import f0_track
from features.formants import formant_track
from features.gemaps import EGEMAPS_NAMES, LLD_NAMES, EgemapsConfig, egemaps, egemaps_lld

__all__ = [
    "EGEMAPS_NAMES",
    "LLD_NAMES",
    "SUPRASEGMENTAL_NAMES",
    "EgemapsConfig",
    "egemaps",
    "egemaps_lld",
    "f0_track",
    "formant_track",
    "suprasegmental",
]
