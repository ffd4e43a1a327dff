"""A scan to features: windows, organ crops, caches, memory."""
