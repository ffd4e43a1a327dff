"""Session files, autosave, recovery, closing."""
