"""Patches of the two photographs that scikit-learn ships, cut so that training and testing never share a pixel."""

import functools

import torch
import torch.nn.functional as F

from tlcourse.repro import uniform

# The photograph behind the source never stands behind the target.
SOURCE_PHOTO, TARGET_PHOTO = "china.jpg", "flower.jpg"
ROWS, COLUMNS = 6, 8  # a chessboard of cells: training patches come from the black ones, test patches from the white
SMALLEST = 32  # side of the smallest patch in pixels; the largest fills its cell


@functools.cache
def photograph(name: str) -> torch.Tensor:
    """Return `"china.jpg"` (a pagoda by a lake) or `"flower.jpg"` (a dahlia), float32 `[3, 427, 640]` from 0 to 255."""
    from sklearn.datasets import load_sample_image  # here, because importing scikit-learn takes a second

    return torch.tensor(load_sample_image(name), dtype=torch.float32).permute(2, 0, 1).contiguous()


def cells(pool: str) -> torch.Tensor:
    """Return row and column of the cells of one pool, int64 `[24, 2]`."""
    board = torch.cartesian_prod(torch.arange(ROWS), torch.arange(COLUMNS))
    return board[(board.sum(1) % 2 == 1) == (pool == "test")]


def patch_boxes(name: str, count: int, pool: str, generator: torch.Generator) -> torch.Tensor:
    """Choose square patches of random place and size, each inside one cell of its pool, `"train"` or `"test"`.

    Returns left, top and side in pixels, float32 `[count, 3]`.
    """
    height, width = photograph(name).shape[1:]
    tall, wide = height // ROWS, width // COLUMNS  # 71 x 80 pixels
    board = cells(pool)
    cell = board[torch.randint(len(board), (count,), generator=generator)]
    side = uniform(count, SMALLEST, min(tall, wide), generator)
    left = cell[:, 1] * wide + uniform(count, 0, 1, generator) * (wide - side)
    top = cell[:, 0] * tall + uniform(count, 0, 1, generator) * (tall - side)
    return torch.stack([left, top, side], 1)


def cut_patches(name: str, boxes: torch.Tensor) -> torch.Tensor:
    """Cut boxes (left, top, side in pixels, `[N, 3]`) out of a photograph: float32 `[N, 3, 32, 32]`, 0 to 255."""
    photo = photograph(name)
    size = torch.tensor([photo.shape[2], photo.shape[1]])
    steps = (torch.arange(32) + 0.5) / 32
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    inside = torch.stack([x, y], -1)[None] * boxes[:, 2, None, None, None]  # pixels from the corner, [N, 32, 32, 2]
    grid = (inside + boxes[:, None, None, :2]) / size * 2 - 1
    # one sampling call over a tall picture of all patches: [1, N * 32, 32, 2]
    patches = F.grid_sample(photo[None], grid.reshape(1, -1, 32, 2), padding_mode="border", align_corners=False)
    return patches.reshape(3, len(boxes), 32, 32).transpose(0, 1)
