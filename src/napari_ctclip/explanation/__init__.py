"""Whether a map is true, and what is at a region: occlusion, deletion, reference distributions."""
