"""Merlin's image encoder: a ResNet-152 inflated to 3D, its last layer read out twice as finely."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from monai.networks.nets.resnet import ResNet, ResNetBottleneck
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MerlinNetwork"]

LAYERS = (3, 8, 36, 3)
_CONTRASTIVE_WIDTH = 512


class MerlinNetwork(nn.Module):
    """Volumes to positions (B, 2048, d, h, w); a mean over positions and one linear layer follow.

    A bottleneck inflated with kernels (1, 1, 1), (3, 3, 3), (1, 1, 1) is MONAI's, its names too.
    The scan stands in all three colours: their kernels are added up first, which is the same sum.

    Ours: the last layer keeps its stride out and dilates instead, so that positions lie 8 x 16 x 16
    voxels apart. Every second one of them along each axis is the network's own, to the digit; the
    others are what it says of the scan moved by half a position.

    Parameters
    ----------
    layers : sequence of int
        Bottlenecks of each of the four layers.
    planes : sequence of int
        Their widths; a position has four times the last.
    embedding_width : int
        E of the shared space.

    References
    ----------
    Blankemeier et al. 2024 (Merlin, arXiv 2406.06512): an I3D ResNet-152 with a head of 1 x 1 x 1
    convolutions. Carreira and Zisserman 2017 (I3D, arXiv 1705.07750), section 2.4. Chen et al. 2017
    (DeepLab, arXiv 1606.00915), section 3.1: dilation instead of stride.
    """

    def __init__(
        self,
        *,
        layers: Sequence[int] = LAYERS,
        planes: Sequence[int] = (64, 128, 256, 512),
        embedding_width: int = _CONTRASTIVE_WIDTH,
    ) -> None:
        super().__init__()
        self.layers, self.planes = tuple(layers), tuple(planes)
        self.width, self.embedding_width = 4 * self.planes[-1], embedding_width
        network = ResNet(
            ResNetBottleneck,
            list(layers),
            list(planes),
            conv1_t_size=(3, 7, 7),  # type: ignore[arg-type]
            conv1_t_stride=(1, 2, 2),  # type: ignore[arg-type]
            feed_forward=False,
            bias_downsample=False,
        )
        self.conv1 = network.conv1
        self.bn1: nn.Module = network.bn1
        self.layer1, self.layer2 = network.layer1, network.layer2
        self.layer3, self.layer4 = network.layer3, network.layer4
        self._relu, self._pool = network.act, network.maxpool
        self.contrastive_head = nn.Conv3d(self.width, embedding_width, kernel_size=1)
        _dilate(self.layer4)

    def forward(self, image: Tensor) -> Tensor:
        """Return positions (B, width, d, h, w), 8 x 16 x 16 voxels apart, of (B, 1, D, H, W).

        The first position along an axis looks at its first voxel, the next at the ninth or
        seventeenth.
        """
        grey = self.conv1.weight.sum(dim=1, keepdim=True)
        x: Tensor = functional.conv3d(
            image, grey, None, self.conv1.stride, cast("tuple[int, ...]", self.conv1.padding)
        )
        x = self._pool(self._relu(self.bn1(x)))
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return x


def _dilate(layer: Iterable[Any]) -> None:
    """Take the stride out of a layer; from its second block on, kernels reach twice as far."""
    first, *others = layer
    first.conv2.stride = first.downsample[0].stride = (1, 1, 1)
    for block in others:
        block.conv2.dilation = block.conv2.padding = (2, 2, 2)
