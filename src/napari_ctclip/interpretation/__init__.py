"""Interpretation: places to words, words to places, and whether a map is true."""
