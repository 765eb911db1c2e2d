"""Allow-list for FFmpeg: one demuxer for each container, and the decoders of speech and music.

FFmpeg reads pictures, subtitles, games' formats and playlists that open other files, too; none of these is listed.
"""

DEMUXERS = {
    "aac": "aac",
    "ac3": "ac3",
    "aiff": "aiff",
    "amr": "amr",
    "ape": "ape",
    "asf": "asf",
    "au": "au",
    "avi": "avi",
    "caf": "caf",
    "dsf": "dsf",
    "dss": "dss",
    "dts": "dts",
    "eac3": "eac3",
    "flv": "flv",
    "loas": "loas",
    "matroska": "matroska",
    "mp2": "mp3",
    "mp4": "mov",
    "mpeg": "mpeg",
    "mpegts": "mpegts",
    "musepack": "mpc8",
    "musepack7": "mpc",
    "ogg": "ogg",
    "qcp": "qcp",
    "quicktime": "mov",
    "realmedia": "rm",
    "rf64": "wav",
    "shorten": "shn",
    "tak": "tak",
    "tta": "tta",
    "voc": "voc",
    "w64": "w64",
    "wav": "wav",
    "wavpack": "wv",
}
"""FFmpeg's demuxer by container, as `sniff` names it."""

_SPEECH = (
    "amrnb amrwb libopencore_amrnb libopencore_amrwb evrc qcelp g722 g723_1 g726 g726le g728 g729 gsm gsm_ms ilbc "
    "speex truespeech dss_sp real_144 real_288 sipr acelp.kelvin wmavoice nellymoser msnsiren"
)
_LOSSY = (
    "aac aac_latm ac3 eac3 dca mp1 mp1float mp2 mp2float mp3 mp3float mp3adu mp3adufloat mp3on4 mp3on4float mpc7 mpc8 "
    "opus libopus vorbis wmav1 wmav2 wmapro cook atrac1 atrac3 atrac3al atrac3plus atrac3plusal qdm2 qdmc mace3 mace6"
)
_LOSSLESS = (
    "alac ape flac mlp truehd tak tta wavpack wmalossless shorten ralf dsd_lsbf dsd_lsbf_planar dsd_msbf "
    "dsd_msbf_planar"
)
_PCM = (
    "alaw mulaw bluray dvd s8 s8_planar u8 f16le f24le f32be f32le f64be f64le s16be s16be_planar s16le s16le_planar "
    "s24be s24le s24le_planar s32be s32le s32le_planar s64be s64le u16be u16le u24be u24le u32be u32le"
)
_ADPCM = "ima_qt ima_wav ms swf yamaha ima_oki sbpro_2 sbpro_3 sbpro_4 ct g722 g726"

DECODERS = (
    *_SPEECH.split(),
    *_LOSSY.split(),
    *_LOSSLESS.split(),
    *(f"pcm_{name}" for name in _PCM.split()),
    *(f"adpcm_{name}" for name in _ADPCM.split()),
)
"""FFmpeg's names of the allowed decoders."""

CHECKSUMMED = frozenset({"ac3", "alac", "ape", "eac3", "flac", "mlp", "shorten", "tak", "truehd", "tta", "wavpack"})
"""Decoders whose frames carry checksums or sizes that a damaged frame fails; of these FFmpeg is told to report it."""
