"""What is computed: the configurations of every step together, and the version that they make."""

from dataclasses import dataclass, field

from data_contracts.fingerprint import fingerprint
from features.audio import AudioConfig
from features.functionals import FunctionalsConfig
from features.mel import MelConfig
from features.vad import VadConfig


@dataclass(frozen=True)
class FeatureConfig:
    """Everything that changes a stored number. `logmel` adds the optional frames for those who train."""

    audio: AudioConfig = field(default_factory=AudioConfig)
    vad: VadConfig = field(default_factory=VadConfig)
    functionals: FunctionalsConfig = field(default_factory=FunctionalsConfig)
    mel: MelConfig = field(default_factory=MelConfig)
    logmel: bool = False

    def version(self, extractor: str) -> str:
        """The `version=` folder of the feature store: all steps' fingerprints and the speaker encoder's digest."""
        mel = self.mel.fingerprint() if self.logmel else ""
        steps = (self.audio.fingerprint(), self.vad.fingerprint(), self.functionals.fingerprint(), mel)
        return fingerprint(*steps, extractor)
