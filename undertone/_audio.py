"""Acoustic measures of speech for a padded batch: eGeMAPS, suprasegmental statistics, F0 and formants."""

from features.dsp.f0 import f0_track
from features.dsp.formants import formant_track
from features.dsp.gemaps import EGEMAPS_NAMES, LLD_NAMES, EgemapsConfig, egemaps, egemaps_lld
from features.dsp.suprasegmentals import SUPRASEGMENTAL_NAMES, suprasegmental

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
