"""The Faithfulness tab: whether a map is true."""
