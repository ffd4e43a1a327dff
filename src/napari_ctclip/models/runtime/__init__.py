"""Devices, precision and memory while a model works."""
