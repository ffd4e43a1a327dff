"""Type a finding, see where it is: CT vision-language models in napari."""

__version__ = "0.1.0"
