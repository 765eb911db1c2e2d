"""What is computed: the configurations of every step together, and the version that they make."""

from dataclasses import dataclass, field

from data_contracts.fingerprint import fingerprint
from features.decode.config import AudioConfig
from features.dsp import suprasegmentals
from features.dsp.gemaps import EgemapsConfig
from features.dsp.mel import MelConfig
from features.segmentation.config import VadConfig
from features.segmentation.speaker_changes import ChangeConfig


@dataclass(frozen=True)
class FeatureConfig:
    """Everything that changes what is stored. `logmel` and `lld` add the optional frames for those who train."""

    audio: AudioConfig = field(default_factory=AudioConfig)
    vad: VadConfig = field(default_factory=VadConfig)
    changes: ChangeConfig = field(default_factory=ChangeConfig)
    egemaps: EgemapsConfig = field(default_factory=EgemapsConfig)
    mel: MelConfig = field(default_factory=MelConfig)
    logmel: bool = False
    lld: bool = False

    def fingerprints(self) -> dict[str, str]:
        """What makes each feature set that a model may be trained on, by the set's name."""
        return {"egemaps": self.egemaps.fingerprint(), "suprasegmental": suprasegmentals.version(self.egemaps)}

    def version(self, *extractors: str) -> str:
        """The `version=` folder of the feature store: all steps' fingerprints and the digests of the models that hear.

        The speaker encoder's comes first; an emotion model that has an extractor of its own adds another.
        """
        steps = (
            self.audio.fingerprint(),
            self.vad.fingerprint(),
            self.changes.fingerprint(),
            *self.fingerprints().values(),
        )
        frames = (self.mel.fingerprint() if self.logmel else "", "lld" if self.lld else "")
        return fingerprint(*steps, *frames, *extractors)
