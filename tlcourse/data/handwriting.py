"""Real handwriting: the UCI optical digits that scikit-learn ships, split by the sheet of paper they came from."""

import functools

import torch
import torch.nn.functional as F

from tlcourse.repro import uniform

# The 1,797 digits stand in the order in which the paper forms were read. Every form asks for the same digits, and the
# labels show where each begins: 0 to 9 three times over, 0 9 5 5 6 5, and so on to 4 9 0 8 9 8, with a digit missing
# here and there. That gives 14 sheets; 13 people wrote them (E. Alpaydin and C. Kaynak, UCI, 1998). A test that shared
# sheets with the training pool would ask the easier question whether the network knows these hands, so the pools are
# cut between two sheets.
SHEETS = (0, 130, 256, 386, 516, 646, 776, 906, 1029, 1157, 1287, 1415, 1545, 1667, 1797)
POOLS = {"train": range(7), "test": range(7, 11), "exam": range(11, 14)}  # the sheets of each
SIDES = (24.0, 30.0)  # a digit's 8x8 square becomes this large, in pixels of the 32x32 image


def handwritten_digits(pool: str, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the digits of one pool in the order of the file, each enlarged to a random size and put in a random place.

    `"train"` has 906 digits on 7 sheets, `"test"` 509 on 4 others, `"exam"` 382 on the last 3. Returns ink, float32
    `[N, 32, 32]` from 0 (paper) to 1; labels and sheet numbers, int64 `[N]`.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", 1998, UCI Machine Learning
    Repository.
    """
    small, labels = _all_digits()
    lengths = torch.diff(torch.tensor(SHEETS))
    sheets = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    chosen = torch.isin(sheets, torch.tensor(POOLS[pool]))
    return _place(small[chosen], generator), labels[chosen], sheets[chosen]


def _place(small: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Enlarge digits `[N, 1, 8, 8]` to between 24 and 30 pixels, anywhere inside `[N, 32, 32]`."""
    side = uniform(len(small), *SIDES, generator)[:, None]
    corner = torch.stack([uniform(len(small), 0, 1, generator) for _ in range(2)], 1) * (32 - side)  # left and top
    pixels = torch.arange(32) + 0.5
    x, y = ((pixels - corner[:, i, None]) / side * 2 - 1 for i in range(2))  # [N, 32] each, -1..1 inside the digit
    grid = torch.stack([x[:, None, :].expand(-1, 32, -1), y[:, :, None].expand(-1, -1, 32)], 3)  # [N, 32, 32, 2]
    return F.grid_sample(small, grid, mode="bicubic", align_corners=False)[:, 0].clamp(0, 1)


@functools.cache
def _all_digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Read all digits: ink, float32 `[1797, 1, 8, 8]` from 0 to 1, and labels, int64 `[1797]`."""
    from sklearn.datasets import load_digits  # here, because importing scikit-learn takes a second

    digits = load_digits()
    return torch.from_numpy(digits.images).float()[:, None] / 16, torch.from_numpy(digits.target).long()
