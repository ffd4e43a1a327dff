"""Session files: a study, prompts and findings, saved and opened again."""
