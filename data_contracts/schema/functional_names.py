"""Meaning of each eGeMAPS functional, parsed from its name: a descriptor and a statistic of its contour.

Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for Voice Research and Affective Computing", IEEE
Trans. Affective Computing 7(2), 2016.
"""

import re

_DESCRIPTORS: dict[str, tuple[str, str]] = {
    "F0semitoneFrom27.5Hz": ("pitch", "semitones above 27.5 Hz"),
    "loudness": ("loudness, as an auditory spectrum's sum", ""),
    "spectralFlux": ("change of the spectrum from frame to frame", ""),
    "jitterLocal": ("change of the period from one to the next, of the mean period", ""),
    "shimmerLocaldB": ("change of the amplitude from one period to the next", "dB"),
    "HNRdBACF": ("harmonics against noise", "dB"),
    "logRelF0-H1-H2": ("first harmonic against the second", "dB"),
    "logRelF0-H1-A3": ("first harmonic against the strongest in the third formant's range", "dB"),
    "alphaRatio": ("energy of 50 to 1000 Hz against 1 to 5 kHz", "dB"),
    "hammarbergIndex": ("strongest peak of 0 to 2 kHz against that of 2 to 5 kHz", "dB"),
    "slope0-500": ("slope of the spectrum, 0 to 500 Hz", ""),
    "slope500-1500": ("slope of the spectrum, 500 to 1500 Hz", ""),
}
_FORMANTS = {
    "frequency": ("centre of formant {}", "Hz"),
    "bandwidth": ("width of formant {}", "Hz"),
    "amplitudeLogRelF0": ("formant {} against the pitch's harmonic", "dB"),
}
_STATISTICS = {
    "amean": "mean",
    "stddevNorm": "standard deviation, of the mean",
    "percentile20.0": "20th percentile",
    "percentile50.0": "median",
    "percentile80.0": "80th percentile",
    "pctlrange0-2": "from the 20th to the 80th percentile",
    "meanRisingSlope": "mean slope where it rises, a second",
    "stddevRisingSlope": "standard deviation of the slope where it rises, a second",
    "meanFallingSlope": "mean slope where it falls, a second",
    "stddevFallingSlope": "standard deviation of the slope where it falls, a second",
}
_REGIONS = {"V": ", voiced frames", "UV": ", unvoiced frames", "": ""}
_TIMING: dict[str, tuple[str, str]] = {
    "loudnessPeaksPerSec": ("peaks of loudness a second", "1/s"),
    "VoicedSegmentsPerSec": ("voiced stretches a second", "1/s"),
    "MeanVoicedSegmentLengthSec": ("voiced stretches: mean length", "s"),
    "StddevVoicedSegmentLengthSec": ("voiced stretches: standard deviation of the length", "s"),
    "MeanUnvoicedSegmentLength": ("unvoiced stretches: mean length", "s"),
    "StddevUnvoicedSegmentLength": ("unvoiced stretches: standard deviation of the length", "s"),
    "equivalentSoundLevel_dBp": ("mean power of all frames", "dB"),
}


def functional_doc(name: str) -> tuple[str, str]:
    """Return the meaning and the unit of a functional. Raises KeyError for a name that is not of eGeMAPS.

    >>> functional_doc("slopeUV0-500_sma3nz_amean")
    ('slope of the spectrum, 0 to 500 Hz, unvoiced frames: mean', '')
    """
    if name in _TIMING:
        return _TIMING[name]
    parts = re.fullmatch(r"(.+?)_sma3(?:nz)?_(.+)", name)
    if parts is None:
        raise KeyError(name)
    measured, unit = _descriptor(parts[1])
    statistic = _STATISTICS[parts[2]]
    return f"{measured}: {statistic}", "" if parts[2] == "stddevNorm" else unit


def _descriptor(name: str) -> tuple[str, str]:
    formant = re.fullmatch(r"F([123])(frequency|bandwidth|amplitudeLogRelF0)", name)
    if formant:
        measured, unit = _FORMANTS[formant[2]]
        return measured.format(formant[1]), unit
    cepstral = re.fullmatch(r"mfcc([1-4])(V?)", name)
    if cepstral:
        return f"mel-cepstral coefficient {cepstral[1]}{_REGIONS[cepstral[2]]}", ""
    if name in _DESCRIPTORS:
        return _DESCRIPTORS[name]
    region = re.fullmatch(r"(\D+?)(UV|V)(\d.*)?", name)
    if region is None:
        raise KeyError(name)
    measured, unit = _DESCRIPTORS[region[1] + (region[3] or "")]
    return measured + _REGIONS[region[2]], unit
