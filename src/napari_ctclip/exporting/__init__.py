"""What a session found, as files that other programs read."""
