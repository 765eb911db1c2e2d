"""Training data: labelled speech, augmentation, and membership in training sets."""
