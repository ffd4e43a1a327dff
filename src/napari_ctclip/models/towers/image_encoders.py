"""Image encoders: a 3D residual network with a top-down path, free of normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ResidualPyramid3d", "StandardisedConv3d"]

_RELU_GAIN = 1.7139588594436646  # sqrt(2 / (1 - 1 / pi)): keeps the variance through a ReLU


class StandardisedConv3d(nn.Conv3d):
    """A convolution whose kernel has zero mean and unit variance per output channel.

    Activations keep their scale without statistics of the input, so a voxel's answer depends on its
    surroundings only, never on what else the crop or batch holds. The gain starts at what keeps
    the variance through the ReLU before it, so that the activation itself is a bare ReLU.

    References
    ----------
    Brock et al. 2021, "Characterizing signal propagation to close the performance gap in
    unnormalized ResNets", section 4 (scaled weight standardisation).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, gain: float = _RELU_GAIN
    ) -> None:
        padding = (kernel - 1) // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding)
        self.gain = nn.Parameter(torch.full((outputs,), gain))
        # only its direction counts; a small norm lets the first steps turn it quickly
        nn.init.normal_(self.weight, std=0.05)
        assert self.bias is not None
        nn.init.zeros_(self.bias)
        self.folded = False

    def kernel_weight(self) -> Tensor:
        """Return the kernel that is applied (outputs, inputs, k, k, k)."""
        if self.folded:
            return self.weight
        flat = self.weight.flatten(1)
        variance, mean = torch.var_mean(flat, dim=1, unbiased=False, keepdim=True)
        scale = torch.rsqrt(variance * flat.shape[1] + 1e-4) * self.gain[:, None]
        return ((flat - mean) * scale).view_as(self.weight)

    def fold(self) -> None:
        """Replace the stored kernel by the applied one: faster, for inference only."""
        if not self.folded:
            with torch.no_grad():
                self.weight.copy_(self.kernel_weight())
            self.folded = True

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x (B, C, D, H, W)."""
        layout = torch.channels_last_3d
        weight = self.kernel_weight().contiguous(memory_format=layout)
        out: Tensor = self._conv_forward(x, weight, self.bias)
        return out


class ResidualPyramid3d(nn.Module):
    """Voxels to token features at a stride of two voxels, informed by coarser scales.

    Bottom-up: a stem at full resolution, then residual stages at strides 2, 4, 8, 16. Top-down:
    each scale is brought to ``top_down_width`` channels and added to the next finer one.
    Down-sampling uses kernels of two voxels: token i covers voxels 2i and 2i + 1 exactly.

    Parameters
    ----------
    channels : int
        HU windows of the prepared image.
    stem_width, widths, blocks : int and sequences of int
        Channels at full resolution; channels and residual blocks of each stage.
    top_down_width, token_width : int
        Channels of the top-down path and of the tokens.

    References
    ----------
    He et al. 2016 (pre-activation residual blocks); Lin et al. 2017 (feature pyramid), section 3.
    """

    patch_size = (2, 2, 2)
    multiple_of = (16, 16, 16)
    final_activation = True  # pre-activation: whatever reads the tokens rectifies them first

    def __init__(
        self,
        channels: int,
        *,
        stem_width: int = 16,
        widths: Sequence[int] = (48, 80, 112, 128),
        blocks: Sequence[int] = (1, 2, 1, 1),
        top_down_width: int = 48,
        token_width: int = 64,
    ) -> None:
        super().__init__()
        self.token_width = token_width
        self.stem = StandardisedConv3d(channels, stem_width, 3, gain=2.0)
        inputs = (stem_width, *widths[:-1])
        self.down = nn.ModuleList(
            StandardisedConv3d(i, o, 2, stride=2) for i, o in zip(inputs, widths, strict=True)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(_ResidualBlock(width) for _ in range(count)))
            for width, count in zip(widths, blocks, strict=True)
        )
        self.lateral = nn.ModuleList(
            StandardisedConv3d(w, top_down_width, 1, gain=0.7) for w in widths
        )
        self.merge = nn.ModuleList(_ResidualBlock(top_down_width) for _ in widths[:-1])
        self.tokens = StandardisedConv3d(top_down_width, token_width, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return token features (B, token_width, D/2, H/2, W/2) of an image (B, C, D, H, W)."""
        x = self.stem(image.contiguous(memory_format=torch.channels_last_3d))
        scales = []
        for down, stage in zip(self.down, self.stages, strict=True):
            x = stage(down(functional.relu(x)))
            scales.append(x)
        top = self.lateral[-1](scales[-1])
        for level in reversed(range(len(scales) - 1)):
            top = functional.interpolate(top, scale_factor=2.0, mode="nearest")
            top = self.merge[level](top + self.lateral[level](scales[level]))
        tokens: Tensor = self.tokens(functional.relu(top))
        return tokens

    def fold(self) -> None:
        """Fold every standardised kernel, for inference."""
        for module in self.modules():
            if isinstance(module, StandardisedConv3d):
                module.fold()


class _ResidualBlock(nn.Module):
    """x + branch(x), pre-activation; the branch starts small so that depth does not hurt."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = StandardisedConv3d(width, width, 3)
        self.second = StandardisedConv3d(width, width, 3, gain=0.3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(functional.relu(self.first(functional.relu(x))))
        return out
