"""Training data: labelled speech, augmentation, and the membership of training sets."""
