"""Both command lines: `napari-ctclip` and `napari-ctclip-train`, a file a command."""
