"""Canonical names of emotions, from the words of corpora and models."""

_SYNONYMS = {
    "anger": "ang angry",
    "calm": "",
    "contempt": "contemptuous",
    "disgust": "dis disgusted",
    "fear": "fea fearful anxiety",
    "happiness": "hap happy joy joyful",
    "neutral": "neu neutrality",
    "sadness": "sad",
    "surprise": "sur surprised ps pleasant_surprise",
}
_CANONICAL = {word: name for name, synonyms in _SYNONYMS.items() for word in (name, *synonyms.split())}


def emotion_named(label: str) -> str:
    """Return the canonical name; an unknown word in lower case, with `_` for characters that a column cannot hold.

    >>> emotion_named("Angry"), emotion_named("hap"), emotion_named("Mixed feelings"), emotion_named("")
    ('anger', 'happiness', 'mixed_feelings', '')
    """
    word = "_".join("".join(c if c.isalnum() else " " for c in label.casefold()).split())
    return _CANONICAL.get(word, word)
