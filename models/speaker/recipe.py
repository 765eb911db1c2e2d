"""Hyperparameters of the speaker encoder's training: on labels alone, and as a student of teachers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SpeakerRecipe:
    """Hyperparameters. Each speed makes another voice of every speaker: its pitch and formants move.

    The names of the fields are stored in `config.json`.
    """

    steps: int = 7_500
    batch: int = 64
    speeds: tuple[float, ...] = (0.8, 0.9, 1.0, 1.12, 1.25)
    copies: int = 3  # of every clip at every speed; the first as it is, the others at other pitches
    octaves: tuple[float, float] = (-0.4, 0.6)  # that the copies' pitch moves, the formants kept
    coded: float = 0.25  # of the copies, through a codec
    favour: float = 0.75  # a speaker is drawn as often as their seconds to this power
    margin: float = 0.2
    margin_from: float = 0.3  # of the steps: until then it grows from nothing
    scale: float = 30.0
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    average: float = 0.998  # of the weights that are kept, the share of a step ago
    half_precision: bool = True  # bfloat16 in the encoder's products
    short: float = 0.4  # of the crops, down to `shortest_s`
    shortest_s: float = 0.4
    least_speech_s: float = 1.0  # of clips; less is no voice to learn
    held_out: float = 0.13  # of each corpus's speakers, rounded up, two at least
    lengths_s: tuple[float, ...] = (1.0, 2.0, 4.0)  # that every second held-out clip is cut to for the threshold
    false_accept_rate: float = 0.01  # at the threshold
    cohort_nearest: int = 50  # strangers of training that a normalised score is relative to
    normalised: bool = True  # scores by the cohort, not cosines: the card says what it brings


@dataclass(frozen=True)
class StudentRecipe(SpeakerRecipe):
    """Hyperparameters of a student; the defaults are those of the shipped weights.

    Most steps are on windows half as long as the encoder's, which cost half.
    """

    steps: int = 4_000
    batch: int = 96  # on half windows; on whole ones half as many
    speeds: tuple[float, ...] = (1.0, 0.85, 1.18)  # the teachers say what voice each makes
    copies: int = 2
    coded: float = 0.4
    favour: float = 0.5
    scale: float = 20.0  # of cosines, in the cross entropy over all voices
    cosine: float = 5.0  # weight of the cosine to the target, beside the cross entropy
    average: float = 0.995
    warm_up: int = 150  # steps until the learning rate is reached; from half of the steps on it falls to nothing
    half: float = 0.75  # of the steps
    shortest_s: float = 0.3
    short_s: float = 0.6  # the longest of the short crops of half windows
    least_speech_s: float = 0.3
    longest_s: float = 8.0  # that the teachers hear at once
    normalised: bool = False

    def rate(self, step: int) -> float:
        """Return the share of the learning rate at a step.

        >>> [StudentRecipe(steps=1_000).rate(step) for step in (0, 149, 500, 750)]
        [0.006666666666666667, 1.0, 1.0, 0.5]
        """
        return min(1.0, (step + 1) / self.warm_up, 2 * (1 - step / self.steps))
