"""Setting `emotion_prior`: the shares of the emotions that speech is expected to have before it is heard."""

from collections.abc import Sequence

from data_contracts.errors import UsageError

NATURAL, BALANCED = "natural", "balanced"
_NEUTRAL, _NEUTRAL_SHARE = "neutral", 0.85  # of natural speech
_MIN_SHARE = 0.005  # nothing is impossible
_TOLERANCE = 0.01  # of shares that should add up to 1
_WANTED = "natural, balanced, or shares such as anger=0.1,neutral=0.8 (each between 0 and 1, together at most 1)"


def normalize_prior(text: str) -> str:
    """Return the one spelling of a prior: a name, or shares by class. Raises UsageError.

    >>> normalize_prior(" Natural "), normalize_prior("neutral=.70, anger=0.1")
    ('natural', 'anger=0.1,neutral=0.7')
    """
    word = text.strip().casefold()
    if word in (NATURAL, BALANCED):
        return word
    return ",".join(f"{name}={share:.6g}" for name, share in sorted(_named_shares(word, text).items()))


def expected_shares(prior: str, classes: Sequence[str]) -> tuple[float, ...] | None:
    """Return the share of each class, or None where all count alike. Raises UsageError for a class that is none.

    Classes that are not named share the rest. Natural speech is mostly neutral; of a model without such a class nothing
    is known.

    >>> expected_shares("natural", ["anger", "neutral"]), expected_shares("anger=0.4", ["anger", "joy", "sadness"])
    ((0.15, 0.85), (0.4, 0.3, 0.3))
    >>> expected_shares("natural", ["calm", "upset"]) is expected_shares("balanced", ["calm", "upset"]) is None
    True
    """
    word = normalize_prior(prior)
    if word == BALANCED or (word == NATURAL and _NEUTRAL not in classes) or len(classes) < 2:
        return None
    named = {_NEUTRAL: _NEUTRAL_SHARE} if word == NATURAL else _named_shares(word, prior)
    strange = [name for name in named if name not in classes]
    if strange:
        raise UsageError(
            f"emotion_prior: expected shares of {', '.join(classes)}, which the emotion model tells apart; found "
            f"{', '.join(strange)} in {prior!r}: name those, or set natural"
        )
    rest = max(0.0, 1 - sum(named.values()))
    n_others = len(classes) - len(named)
    if not n_others and rest > _TOLERANCE:
        raise UsageError(
            f"emotion_prior: expected shares that add up to 1, found {1 - rest:.3g} in {prior!r}: raise one of them"
        )
    shares = [named.get(name, rest / n_others if n_others else 0.0) for name in classes]
    raised = [max(share, _MIN_SHARE) for share in shares]
    return tuple(round(share / sum(raised), 6) for share in raised)


def _named_shares(word: str, text: str) -> dict[str, float]:
    shares = {}
    for part in filter(None, (part.strip() for part in word.split(","))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        try:
            shares[name] = float(number)
        except ValueError:
            shares[name] = -1.0
    is_share = all(name and 0 <= share <= 1 for name, share in shares.items())
    if not shares or not is_share or sum(shares.values()) > 1 + _TOLERANCE:
        raise UsageError(f"emotion_prior: expected {_WANTED}, found {text!r}: correct it in undertone.toml")
    return shares
