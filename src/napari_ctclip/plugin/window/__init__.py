"""What the parts of one napari window share: session, jobs, scene, messages, settings."""
