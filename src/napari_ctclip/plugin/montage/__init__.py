"""The Montage tab: patches that look like a prompt."""
