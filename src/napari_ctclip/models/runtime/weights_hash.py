"""HashedWeights: models that know the hash of the weights they hold."""

from __future__ import annotations

from torch import nn

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["HashedWeights"]


class HashedWeights(nn.Module):
    """The part of a model that knows its weights by a hash.

    Attributes
    ----------
    name : str
        What the user calls the model.
    preprocessing : Preprocessing
        The preprocessing that the weights were made for; it travels with them.
    content_hash : str
        The hash (hex) of the files that the weights came from, set by whoever loads them; empty
        before.
    """

    name: str
    preprocessing: Preprocessing
    content_hash: str = ""

    def weights_hash(self) -> str:
        """Return the hash of the files that the weights came from.

        Raises
        ------
        CtClipError
            If the model was built in memory and never saved.
        """
        if not self.content_hash:
            raise CtClipError(
                f"model {self.name!r} was built in memory and has no hash yet; write it to a model "
                "folder and load that"
            )
        return self.content_hash
