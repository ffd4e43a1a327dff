"""The Model tab: cards, checks, loading."""
