"""Pretrained models of other projects, converted."""
