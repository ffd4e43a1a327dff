"""FolderWeights: models whose hash is that of the folder they were loaded from."""

from __future__ import annotations

from torch import nn

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["FolderWeights"]


class FolderWeights(nn.Module):
    """The part of a model that knows which folder's weights it holds.

    Attributes
    ----------
    name : str
        What the user calls the model.
    preprocessing : Preprocessing
        Of the voxels that the weights were made for; travels with them.
    content_hash : str
        Of the folder (hex); empty until it was loaded from one.
    how_to_save : str
        What makes a folder of a model built in memory.
    """

    name: str
    preprocessing: Preprocessing
    content_hash: str
    how_to_save: str

    def weights_hash(self) -> str:
        """Return the hash of the folder the model was loaded from.

        Raises
        ------
        CtClipError
            If the model was built in memory and never saved.
        """
        if not self.content_hash:
            raise CtClipError(
                f"model {self.name!r} was built in memory and has no hash yet; {self.how_to_save}"
            )
        return self.content_hash
