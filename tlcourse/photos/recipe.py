"""How photographs are fine-tuned: three recipes, how they were found, and which of them the probe's result asks for.

The full recipe was chosen by the loss on validation photographs, cut from those for training with seed 0; no test
photograph was asked. MobileNetV2 on sign digits, 20 a class, at 160 pixels; loss in nats, at the fitted temperature:

| way | statistics | lr | layer decay | epochs | loss |
|---|---|---|---|---|---|
| linear probe | | | | | 0.39 |
| fine-tuned | adapt | 0.001 | 0.8 | 12 | 0.64 |
| fine-tuned | adapt | 0.002 | 0.9 | 16 | 0.30 |
| fine-tuned | keep | 0.001 | 0.9 | 12 | 0.13 |

Hands look so little like ImageNet that statistics measured batch by batch are a shock, from which so few updates do not
recover; where those of the source are kept, training starts exactly at the probe. Batches are of 16, not 32 as above,
because 32 photographs of 224 pixels need more than 3 GB.

For groceries, validation could not choose. The probe was right on all of its 30 photographs or all but one, a training
that lost 4 to 7 points on the test photographs looked as good there, and a tenth of the rate for all stages (`gentle`)
was the better choice; `photo_transfer` tells how we found out. So the probe's mistakes on validation say which recipe
to take. Where there are few, there is hardly anything to gain, and harm would not be seen: gentle. Where there are five
or more, validation sees whether they are corrected (five corrected and none made is as unlikely, by chance, as 1 in
32), and takes back what harms: full.

LoRA has a rate of its own, set in the same way on the same photographs, at 96 pixels. Several runs of one setting, in
which Dropout drew otherwise, differ by up to 0.2, as 30 photographs decide:

| way | lr | seed 0 | seed 1 |
|---|---|---|---|
| linear probe | | 0.92 | 0.95 |
| the whole network (7 runs) | 0.001 | 0.17 to 0.32 | 0.16 to 0.37 |
| LoRA, rank 4 | 0.003 | 0.55 | |
| LoRA, rank 16 | 0.001 | | 0.65 |
| LoRA, rank 16 | 0.003 | 0.18 to 0.30 | 0.36 |
| LoRA, rank 16 | 0.01 | 1.67 | 2.30 |

On 148 groceries held out of those for training (112 pixels, one seed), LoRA came to the same 94.6 % as the probe, at a
loss of 0.16 against 0.13: no gain there, and no harm that could be seen.
"""

from dataclasses import dataclass, field, replace

from tlcourse.photos.views import RandomView

ENOUGH_MISTAKES = 5  # of the probe on validation; with fewer, validation cannot choose


@dataclass(frozen=True)
class PhotoRecipe:
    """How to train on photographs."""

    name: str = "full"
    epochs: int = 10
    steps: int | None = None  # updates an epoch at most; None shows every photograph once
    batch: int = 16
    lr: float = 1e-3  # highest of the head, of a network that was carried over
    layer_decay: float = 0.9  # every stage gets this share of the learning rate of the one after it
    scratch_lr: float = 2e-3  # highest of all stages, where nothing was carried over
    weight_decay: float = 0.01
    smoothing: float = 0.1  # share of the target that is spread over all classes
    warm: float = 0.25  # share of the updates in which the learning rate rises
    batchnorm: str = "keep"  # the running statistics of the source, or "adapt" them to the photographs
    rank: int | None = None  # of the low-rank changes that are trained (LoRA); None trains the weights themselves
    view: RandomView = field(default_factory=RandomView)

    def __str__(self) -> str:
        fall = f", {self.layer_decay:g} of it per stage towards the pixels" if self.layer_decay < 1 else ", everywhere"
        of = "" if self.steps is None else f" of {self.steps} updates"
        return f"{self.name} recipe: {self.epochs} epochs{of}, batches of {self.batch}, rate up to {self.lr:g}{fall}"

    @property
    def trained(self) -> str:
        """What moves, in words."""
        if self.rank is None:
            return "the whole network"
        return f"the head and low-rank changes of all layers (LoRA, rank {self.rank})"

    def updates(self, photographs: int) -> int:
        """Count the updates of an epoch."""
        whole = -(-photographs // self.batch)
        return whole if self.steps is None else min(whole, self.steps)

    def budget(self, photographs: int, scratch: bool = False) -> dict[str, str | int | bool]:
        """Name what a comparison has to state: the recipe, updates, photographs an update, the highest rate."""
        updates = self.epochs * self.updates(photographs)
        rate = self.scratch_lr if scratch else self.lr
        return {"recipe": self.name, "updates": updates, "batch": self.batch, "lr": f"{rate:g}", "augmented": True}


NO_TRAINING = {"recipe": "none", "updates": 0, "batch": 0, "lr": "0", "augmented": False}  # the budget of a probe
RECIPES = {
    "full": PhotoRecipe(),
    "gentle": PhotoRecipe("gentle", epochs=8, lr=1e-4, layer_decay=1.0),
    "lora": PhotoRecipe("LoRA", lr=3e-3, layer_decay=1.0, rank=16),
}


def choose_recipe(wanted: str, mistakes: int, **changes: object) -> PhotoRecipe:
    """Return a recipe by its name, or with `"auto"` the one for the number of the probe's mistakes on validation.

    `changes` replace fields of it. Raises ValueError where there is no such recipe.
    """
    if wanted not in ("auto", *RECIPES):
        raise ValueError(f"the recipe is {wanted!r}. Expected one of: 'auto', {', '.join(map(repr, RECIPES))}.")
    if wanted == "auto":
        wanted = "full" if mistakes >= ENOUGH_MISTAKES else "gentle"
    return replace(RECIPES[wanted], **changes)
