"""The Explore tab: the state of the prompts, their table, phrasing, words and the probe."""
