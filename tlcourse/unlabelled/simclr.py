"""SimCLR: two views of the same image shall be alike, and unlike all other images of the batch."""

import functools
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.adaptation.adapt import to_the_end
from tlcourse.data.augmentations import Chain, Recolour
from tlcourse.data.backdrop import Backdrop
from tlcourse.repro import seeded
from tlcourse.training.recipe import Recipe
from tlcourse.unlabelled.pretext import Pretext, pretext_updates, shown

WIDTH = 64  # numbers of an embedding
TEMPERATURE = 0.2
# Two views share what is written; backdrop and colour differ, or an image would be known by those.
VIEW = Chain(Backdrop(), Recolour(0.6))
SIMCLR = Recipe(epochs=90, batch=96, augment=VIEW)


def nt_xent(z: torch.Tensor, temperature: float = 0.5) -> torch.Tensor:
    """Return the cross entropy of finding each view's other view among all views of the batch, a float scalar.

    `z` are embeddings, float `[2 * B, D]`: rows i and i + B are two views of one image. Alike means cosine; the lower
    the `temperature`, the more the most similar of the others count. ValueError for fewer than two images.

    Source: Chen et al., "A simple framework for contrastive learning of visual representations", 2020, ICML.
    """
    _check_pairs(z, images=2)
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, but a number above 0 was expected. Try 0.5.")
    unit = F.normalize(z)  # length 1
    logits = unit @ unit.T / temperature  # [2B, 2B], cosines
    logits = logits - torch.diag_embed(logits.new_full((len(z),), torch.inf))  # nobody is their own other view
    other = torch.arange(len(z), device=z.device).roll(len(z) // 2)  # i + B for the first half, i - B for the second
    return F.cross_entropy(logits, other)


def alignment_loss(z: torch.Tensor) -> torch.Tensor:
    """Return the mean squared distance of two views, from 0 to 4: the half of `nt_xent` that attracts, alone.

    `z` is as for `nt_xent`. It has an easy minimum: the same embedding for every image. Nothing forbids this collapse
    here, while `nt_xent` has its other half, which pushes all other images away.

    Source: Wang and Isola, "Understanding contrastive representation learning through alignment and uniformity on the
    hypersphere", 2020, ICML.
    """
    _check_pairs(z, images=1)
    first, second = F.normalize(z).chunk(2)
    return (first - second).square().sum(1).mean()


def projection_head(model: nn.Module, seed: int = 0) -> nn.Sequential:
    """Make the two layers from features `[B, num_features]` to embeddings `[B, 64]`, which the loss compares.

    Embeddings forget what the views do not share, such as the colour. Features before them still know it, and are what
    is kept.
    """
    features = model.num_features
    with seeded("projection head", seed):
        return nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, WIDTH))


def two_views(images: torch.Tensor, recipe: Recipe, seed: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield a batch an update: `recipe.batch` images, each augmented twice, float32 `[2 * B, 3, H, W]`, and no labels.

    Rows i and i + B are the same image; in place of the labels is its number in the batch, int64 `[2 * B]`.
    """
    if recipe.augment is None:
        raise ValueError("augment is None: both views would be the same image. Give the recipe an augmentation.")

    def twice(x: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        return torch.cat([recipe.augment(x, draws), recipe.augment(x, draws)])

    return ((x, torch.arange(recipe.batch).repeat(2)) for x, _ in shown(images, recipe, twice, seed))


def simclr_updates(
    model: nn.Module,
    images: torch.Tensor,
    recipe: Recipe = SIMCLR,
    *,
    temperature: float = TEMPERATURE,
    negatives: bool = True,
    top: nn.Module | None = None,
    seed: int = 0,
) -> Iterator[torch.Tensor]:
    """Do what `pretrain_by_simclr` does, and yield the loss after every update, for whoever looks on or stops early.

    Without `negatives` the loss is `alignment_loss`, and the embeddings collapse. `top` is what stands on the features,
    a new `projection_head` unless given; whoever gives one can look at its embeddings.
    """
    compare = functools.partial(nt_xent, temperature=temperature) if negatives else alignment_loss
    task = Pretext(model, projection_head(model, seed) if top is None else top)
    return pretext_updates(task, images, two_views(images, recipe, seed), lambda z, _: compare(z), recipe)


def pretrain_by_simclr(
    model: nn.Module,
    images: torch.Tensor,
    recipe: Recipe = SIMCLR,
    *,
    temperature: float = TEMPERATURE,
    seed: int = 0,
    progress: bool = False,
) -> nn.Module:
    """Train the backbone in place to know an image again, however it is augmented, and return the network.

    `images` are images alone, uint8 `[N, 3, H, W]`, and the recipe's augmentation says what an image may be changed in
    and stay the same. The projection head is thrown away, and the head of the network stays as it was: for other
    classes, replace it afterwards. Raises TypeError for images with labels, ValueError for a recipe without
    augmentation, ArithmeticError when the loss breaks.

    Source: Chen et al., "A simple framework for contrastive learning of visual representations", 2020, ICML.
    """
    steps = simclr_updates(model, images, recipe, temperature=temperature, seed=seed)
    return to_the_end(model, steps, recipe, progress=progress)


def _check_pairs(z: torch.Tensor, images: int) -> None:
    if z.ndim != 2 or len(z) % 2 or len(z) < 2 * images or not z.is_floating_point():
        raise ValueError(
            f"embeddings are {z.dtype} of shape {list(z.shape)}. Expected floats [2 * B, D] of at least {images} "
            f"image{'s' if images > 1 else ''}: first one view of every image, then the other, as two_views has them."
        )
