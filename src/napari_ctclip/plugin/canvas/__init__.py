"""Layers and canvases: what is drawn, where. It knows no prompts, findings or dialogs."""
