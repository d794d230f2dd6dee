"""What must happen to a photograph before an ImageNet network sees it: resize, crop, normalise."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from PIL import Image

from tlcourse.data.normalisation import ChannelStatistics

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of red, green and blue, over the training images of ImageNet, from 0 to 1
IMAGENET_STD = (0.229, 0.224, 0.225)
INTERPOLATIONS = ("bilinear", "bicubic")
MOST_SIDE = 8_000
MOST_PIXELS = MOST_SIDE**2  # a strip of 1 x 10,000 pixels would grow to 232 x 2,320,000, and fill the memory


@dataclass(frozen=True)
class Preprocessing:
    """Turn any photograph into the square of normalised numbers that a network was trained on.

    The shorter side is resized to `resize` pixels and the longer one with it; the middle `crop` x `crop` pixels are cut
    out; 0..255 becomes 0..1; each channel loses the mean and is divided by the standard deviation. These numbers belong
    to the weights: a network that gets other ones answers worse, and no error tells.
    """

    resize: int = 256
    crop: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        if not (isinstance(self.resize, int) and isinstance(self.crop, int) and 1 <= self.crop <= self.resize):
            raise ValueError(
                f"resize is {self.resize} and crop is {self.crop}. Expected whole numbers, a crop of at least "
                "1 pixel and at most as large as the resized image."
            )
        if self.resize**2 > MOST_PIXELS:
            raise ValueError(f"images were to be resized to {self.resize} pixels. Expected at most {MOST_SIDE}.")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(value > 0 for value in self.std):
            raise ValueError(
                f"mean is {self.mean} and std is {self.std}. Expected three numbers each, those of std above 0."
            )
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation is {self.interpolation!r}. Expected one of {', '.join(INTERPOLATIONS)}.")

    def __call__(self, image: Image.Image | torch.Tensor) -> torch.Tensor:
        """Turn an RGB image of PIL, or uint8 `[3, H, W]` or `[B, 3, H, W]`, into float32 `[..., 3, crop, crop]`.

        PIL and PyTorch round differently while resizing: the results differ by a few hundredths.
        """
        return self.normalised(self.pixels(image))

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turn bytes `[..., 3, H, W]` into 0..1, take the mean off, and divide by the standard deviation, float32."""
        mean, std = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (self.mean, self.std))
        return (pixels / 255 - mean) / std

    @property
    def statistics(self) -> ChannelStatistics:
        """Mean and standard deviation as `normalise`, `denormalise` and `convert` take them."""
        return ChannelStatistics(*(torch.tensor(values, dtype=torch.float64) for values in (self.mean, self.std)), 0)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a dict of numbers, lists and texts, to be kept beside the weights."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> "Preprocessing":
        """Return the preprocessing that `to_json` described; ValueError when a setting is missing, unknown or wrong."""
        names = set(cls.__dataclass_fields__)
        if not isinstance(settings, Mapping) or set(settings) != names:
            got = sorted(settings) if isinstance(settings, Mapping) else type(settings).__name__
            raise ValueError(f"a preprocessing was described by {got}. Expected a dict with {sorted(names)}.")
        try:
            return cls(**settings)
        except (TypeError, ValueError) as error:  # a text where a number belongs, or a number out of range
            raise ValueError(f"a preprocessing was described by {dict(settings)}, which cannot be: {error}") from error

    @classmethod
    def for_weights(cls, name: str, member: str = "DEFAULT") -> "Preprocessing":
        """Return the preprocessing that torchvision names for weights such as `("mobilenet_v2", "IMAGENET1K_V1")`."""
        from torchvision.models import get_model_weights  # takes a while to import, and is not always needed

        try:
            known = get_model_weights(name).__members__
        except ValueError as error:
            raise ValueError(
                f"torchvision has no network {name!r}. Expected one of those that backbone_names() lists."
            ) from error
        if member not in known:
            raise ValueError(f"{name} has no weights {member!r}. Expected one of: {', '.join(known)}.")
        preset = known[member].transforms()
        return cls(preset.resize_size[0], preset.crop_size[0], preset.mean, preset.std, preset.interpolation.value)

    def pixels(self, image: Image.Image | torch.Tensor) -> torch.Tensor:
        """Resize and crop as torchvision does; return bytes, `[..., 3, crop, crop]`."""
        from torchvision.transforms import InterpolationMode, functional

        if isinstance(image, Image.Image):
            _check_mode(image)
            height, width = image.height, image.width
        else:
            _check_bytes(image)
            height, width = image.shape[-2:]
        longer = int(self.resize * max(height, width) / min(height, width))
        if longer * self.resize > MOST_PIXELS:
            raise ValueError(
                f"an image of {width} x {height} pixels is too long and narrow: with its shorter side resized to "
                f"{self.resize}, it would have {longer * self.resize:,} pixels, and at most {MOST_PIXELS:,} were "
                "expected. Crop it first, or leave it out."
            )
        resized = functional.resize(image, [self.resize], InterpolationMode(self.interpolation), antialias=True)
        square = functional.center_crop(resized, [self.crop])
        return functional.pil_to_tensor(square) if isinstance(square, Image.Image) else square


def _check_mode(image: Image.Image) -> None:
    if image.mode != "RGB":
        raise ValueError(
            f"the image has the mode {image.mode!r}, but 'RGB' was expected: red, green and blue, 8 bits each. Use "
            'image.convert("RGB"), or open the file with open_photo(path), which also keeps transparency from turning '
            "black and turns the picture upright."
        )


def _check_bytes(image: torch.Tensor) -> None:
    if not isinstance(image, torch.Tensor) or image.dtype != torch.uint8:
        got = f"a tensor of {image.dtype}" if isinstance(image, torch.Tensor) else f"a {type(image).__name__}"
        raise TypeError(
            f"got {got}, but a PIL image or bytes, uint8 [3, H, W], were expected. Was it prepared already? For a "
            "NumPy array use PIL.Image.fromarray(array), for a file open_photo(path)."
        )
    if image.ndim not in (3, 4) or image.shape[-3] != 3 or not image.numel():
        raise ValueError(
            f"got bytes of shape {list(image.shape)}, but [3, H, W] or [B, 3, H, W] was expected. Put the channels "
            "first, and repeat a grey channel three times."
        )
