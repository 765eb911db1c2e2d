"""One word for an emotion, whatever a corpus or a model calls it."""

_OTHERS = {
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
_NAMES = {word: name for name, others in _OTHERS.items() for word in (name, *others.split())}


def emotion_named(label: str) -> str:
    """The usual name; a word that is none of these in lower case, with `_` for what a column's name cannot hold.

    >>> emotion_named("Angry"), emotion_named("hap"), emotion_named("Mixed feelings"), emotion_named("")
    ('anger', 'happiness', 'mixed_feelings', '')
    """
    word = "_".join("".join(c if c.isalnum() else " " for c in label.casefold()).split())
    return _NAMES.get(word, word)
