"""Speakers of the lake: enrollment, gallery, lookup and manual edits."""
