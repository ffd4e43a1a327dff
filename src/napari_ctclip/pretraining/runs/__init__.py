"""Folders, logs, state and processes of trainings."""
