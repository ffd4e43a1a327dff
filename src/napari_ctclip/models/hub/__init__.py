"""The known models, and how their files are found or downloaded on request."""
