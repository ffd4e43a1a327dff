"""Image towers and the heads on them; none knows a folder."""
