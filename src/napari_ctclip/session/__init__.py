"""The state of a window or a script: one study, one model, prompts, findings."""
