"""What happens between a decoded image and a network's input, as data that goes with the weights.

The one implementation of resizing, cropping and normalising: training, prediction, export and
serving all use it, so a model never sees pixels that were prepared differently.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from graft.data.reduction import resize, whole_size
from graft.errors import BackboneError

if TYPE_CHECKING:
    import torch

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
CROPS = ("center", "squash", "letterbox")
POLICIES = {"crop": "center", "squash": "squash", "letterbox": "letterbox"}
"""How an image of other proportions becomes the input, as `--resize` names it."""

_LONGEST = 32  # times the shorter side


@dataclass(frozen=True)
class Preprocess:
    """The input a network expects.

    Args:
        image_size: Height and width of the input in pixels, or one number for a square.
        resize: Length in pixels to which the shorter side is scaled before the crop; None scales
            just enough to cover `image_size`. Where this would leave a side too short for the
            crop, the image is scaled until it covers it.
        crop: "center" keeps the proportions and cuts the middle out; "squash" scales each side
            on its own, to `image_size` or, where `resize` is given, to its share of `resize`
            before the middle is cut out; "letterbox" keeps the proportions and all of the image,
            in the middle of an input that is otherwise of the mean colour (`resize` is None then).
        interpolation: "nearest", "bilinear", "bicubic" or "lanczos", all antialiased.
        mean: Mean of each channel, for pixels in 0..1.
        std: Standard deviation of each channel, for pixels in 0..1.
        channels: 3 for RGB, 1 for grayscale; more have no images to be read from.

    Raises:
        BackboneError: A value is out of range, or the number of channels, means and deviations
            differ.

    Example:
        >>> preprocess = Preprocess(224, resize=256)
        >>> preprocess.image_size
        (224, 224)
        >>> preprocess.view(Image.new("RGB", (500, 375))).size
        (224, 224)
        >>> Preprocess.from_dict(preprocess.to_dict()) == preprocess
        True
    """

    image_size: tuple[int, int] | int = (224, 224)
    resize: int | None = None
    crop: str = "center"
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    channels: int = 3

    def __post_init__(self) -> None:
        size = self.image_size
        height, width = (size, size) if isinstance(size, int) else size
        object.__setattr__(self, "image_size", (int(height), int(width)))
        object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
        object.__setattr__(self, "std", tuple(float(value) for value in self.std))
        self._validate()

    @property
    def height(self) -> int:
        """Height of the input in pixels."""
        return self._size[0]

    @property
    def width(self) -> int:
        """Width of the input in pixels."""
        return self._size[1]

    @property
    def resample(self) -> Image.Resampling:
        """The interpolation, as Pillow names it."""
        return INTERPOLATIONS[self.interpolation]

    @property
    def decode_shorter(self) -> int:
        """Longest that `view` can make the shorter side of an image: the argument of `decode`.

        Example:
            >>> Preprocess(224, resize=256).decode_shorter, Preprocess((96, 160)).decode_shorter
            (256, 160)
        """
        longer, shorter = max(self._size), min(self._size)
        # A squashed image takes the input's proportions, so its shorter side may become longer.
        stretch = longer / shorter if self.crop == "squash" else 1
        return max(longer, math.ceil((self.resize or 0) * stretch))

    def view(self, image: Image.Image) -> Image.Image:
        """Return the image as the network sees it in evaluation, at `image_size`.

        Args:
            image: A decoded image of any size, perhaps reduced for `decode_shorter`.

        Returns:
            A new image of `width` x `height`, in the mode of `image`.
        """
        whole = whole_size(image)
        if self.crop == "letterbox":
            return self._letterboxed(image, *whole)
        if self.crop == "squash" and self.resize is None:
            return resize(image, (self.width, self.height), self.resample)
        if self.crop == "squash":
            middle = (0, 0, *whole)
            width, height = self._scaled(self.width, self.height)
        else:
            middle = _without_far_ends(*whole)
            width, height = self._scaled(middle[2] - middle[0], middle[3] - middle[1])
        left = round((width - self.width) / 2)
        top = round((height - self.height) / 2)
        scaled = resize(image, (width, height), self.resample, middle)
        return scaled.crop((left, top, left + self.width, top + self.height))

    def pixels(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Stack images of `image_size` into one tensor.

        Args:
            images: N images, as `view` returns them.

        Returns:
            uint8 of shape (N, channels, height, width) in channels-last memory.

        Raises:
            BackboneError: The network takes neither 1 nor 3 channels.
        """
        import torch

        if self.channels not in (1, 3):
            raise BackboneError(
                f"Images have 1 or 3 channels, and this backbone takes {self.channels}.",
                "Give its module tensors of your own, or choose 1 or 3 channels.",
            )
        shape = (len(images), self.height, self.width, self.channels)
        stacked = np.empty(shape, dtype=np.uint8)
        for row, image in zip(stacked, images, strict=True):
            array = np.asarray(image.convert("L" if self.channels == 1 else "RGB"))
            row[...] = array.reshape(shape[1:])
        return torch.from_numpy(stacked).permute(0, 3, 1, 2)

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        """Scale pixels to 0..1, subtract the mean and divide by the standard deviation.

        Args:
            pixels: uint8 of shape (N, channels, H, W).

        Returns:
            float32 of the same shape in channels-last memory, on the same device.
        """
        import torch

        count, channels, height, width = pixels.shape
        # One row of the image at a time, so that mean and deviation are long vectors and not
        # three numbers over and over: half the time on a CPU.
        rows = pixels.permute(0, 2, 3, 1).reshape(count * height, width * channels)
        mean = torch.tensor(self.mean, dtype=torch.float32, device=pixels.device).repeat(width)
        std = torch.tensor(self.std, dtype=torch.float32, device=pixels.device).repeat(width)
        normalized = rows.to(torch.float32).div_(255).sub_(mean).div_(std)
        return normalized.view(count, height, width, channels).permute(0, 3, 1, 2)

    def with_image_size(self, size: int) -> Preprocess:
        """Return the same preprocessing for square inputs of `size`, the margin kept in proportion.

        Example:
            >>> Preprocess(224, resize=256).with_image_size(128).resize
            146
        """
        resize = self.resize and round(self.resize * size / min(self._size))
        return replace(self, image_size=(size, size), resize=resize)

    def with_policy(self, policy: str) -> Preprocess:
        """Return the same preprocessing, with another way to bring images to its proportions.

        Args:
            policy: "crop", "squash" or "letterbox"; the latter two show all of the image.

        Raises:
            BackboneError: There is no such policy.

        Example:
            >>> Preprocess(224, resize=256).with_policy("squash").resize is None
            True
            >>> wide = Image.new("RGB", (200, 100), "white")
            >>> Preprocess(8).with_policy("letterbox").view(wide).getpixel((4, 0))
            (124, 116, 104)
        """
        if policy not in POLICIES:
            raise BackboneError(
                f"'{policy}' is no way to resize.", f"Choose one of {', '.join(POLICIES)}."
            )
        crop = POLICIES[policy]
        return replace(self, crop=crop, resize=self.resize if crop == "center" else None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Preprocess:
        """Build from what `to_dict` returned, lists in place of tuples allowed.

        Raises:
            BackboneError: A value is out of range, missing or unknown.
        """
        try:
            return cls(**record)
        except (TypeError, ValueError) as error:
            raise BackboneError(
                f"The preprocessing record {dict(record)!r} is damaged: {error}.",
                "Restore the model folder.",
            ) from error

    @property
    def _size(self) -> tuple[int, int]:
        assert isinstance(self.image_size, tuple)
        return self.image_size

    def _letterboxed(self, image: Image.Image, width: int, height: int) -> Image.Image:
        scale = min(self.width / width, self.height / height)
        size = (
            min(self.width, max(1, round(width * scale))),
            min(self.height, max(1, round(height * scale))),
        )
        scaled = resize(image, size, self.resample)
        means = (self.mean * 3)[: len(scaled.getbands())]  # of grey networks, there is one
        colour = tuple(round(255 * min(max(mean, 0), 1)) for mean in means)
        view = Image.new(scaled.mode, (self.width, self.height), colour)
        view.paste(scaled, ((self.width - size[0]) // 2, (self.height - size[1]) // 2))
        return view

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        """Return the size to scale an image to before the crop; lengths round as torchvision's."""
        shorter = min(width, height)
        target = max(self.resize or 0, self.height * shorter / height, self.width * shorter / width)
        return (
            max(int(target * width / shorter), self.width),
            max(int(target * height / shorter), self.height),
        )

    def _validate(self) -> None:
        if min(self._size) < 1 or (self.resize is not None and self.resize < 1):
            raise BackboneError(
                f"Preprocessing with image size {self._size} and resize {self.resize} is not "
                "possible.",
                "Give sizes of at least one pixel.",
            )
        if self.crop == "letterbox" and self.resize is not None:
            raise BackboneError(
                f"Preprocessing with crop 'letterbox' and resize {self.resize} is not possible.",
                "Leave out resize: all of the image is shown.",
            )
        if self.crop not in CROPS or self.interpolation not in INTERPOLATIONS:
            raise BackboneError(
                f"Preprocessing with crop '{self.crop}' and interpolation '{self.interpolation}' "
                "is not known.",
                f"Crops: {', '.join(CROPS)}. Interpolations: {', '.join(INTERPOLATIONS)}.",
            )
        if self.channels < 1 or {len(self.mean), len(self.std)} != {self.channels}:
            raise BackboneError(
                f"Preprocessing for {self.channels} channels with {len(self.mean)} means and "
                f"{len(self.std)} deviations was given.",
                "Give at least 1 channel, and a mean and a deviation for each.",
            )
        if min(self.std) <= 0:
            raise BackboneError(
                f"Standard deviations {self.std} were given.", "Give positive numbers."
            )


def _without_far_ends(width: int, height: int) -> tuple[int, int, int, int]:
    """Return the middle of an image: all of it, unless one side is many times the other.

    The crop shows none of the far ends, and scaling them would take memory without bound.
    """
    longest = _LONGEST * min(width, height)
    left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
    return (left, top, left + min(width, longest), top + min(height, longest))
