"""Fine-tuning from the linear probe, and going back to it where that is not seen to help; or training from scratch.

Notebook 12 calls the steps one by one; the command `tlcourse finetune` runs them in a row. The test photographs are
looked at by none of them: `evaluate_photos` does that, once, at the end. How the recipe was chosen is told in `recipe`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tlcourse.evaluation.predict import Loss, predict
from tlcourse.models.adapters.lora import add_lora, merge_lora
from tlcourse.models.compression.folding import folded_in_training
from tlcourse.photos.consistency import Consistency
from tlcourse.photos.evaluation import careful_temperature
from tlcourse.photos.memory import PhotoSource
from tlcourse.photos.probe import ChosenProbe
from tlcourse.photos.recipe import PhotoRecipe
from tlcourse.repro import generator, pick_device, seeded
from tlcourse.training.checkpoint import History, copy_weights
from tlcourse.training.loop import fit
from tlcourse.training.recipe import adamw
from tlcourse.transfer.freezing import freeze, layerwise_lr
from tlcourse.transfer.heads import get_classifier
from tlcourse.transfer.linear_probe import write_head


@dataclass(frozen=True)
class Tuned:
    """What came of a fine-tuning, and of the probe that it began from; both losses are at a temperature of their own.

    `logits` are those of the fine-tuned network for the validation photographs, and `accuracy` its share of right
    answers there, in percent, also where the probe was kept.
    """

    recipe: PhotoRecipe
    history: History
    probe: ChosenProbe
    logits: torch.Tensor
    loss: float
    probe_loss: float
    accuracy: float

    @property
    def kept(self) -> str:
        """Which of the two is in the network now: the one with the lower loss on validation."""
        return "fine-tuned" if self.loss <= self.probe_loss else "linear probe"

    def __str__(self) -> str:
        return f"kept: {self.kept}. {self._compared()}"

    def _compared(self) -> str:
        return (
            f"On validation, fine-tuning came to {self.accuracy:.1f} % right at a loss of {self.loss:.3f}, the linear "
            f"probe to {self.probe.validation_accuracy:.1f} % at {self.probe_loss:.3f}"
        )

    def in_words(self) -> dict[str, str]:
        """Say for a model card how what was kept came about; a training that was dropped is told as that."""
        if self.kept == "linear probe":
            return self.probe.in_words() | {"tried and dropped": f"fine-tuning, {self.recipe}. {self._compared()}"}
        statistics = {"adapt": "follows these photographs", "keep": "as in the source"}
        return self.probe.in_words() | {
            "what was kept": f"{self.recipe.trained}, fine-tuned from the linear probe",
            "recipe": str(self.recipe),
            "label smoothing": f"{self.recipe.smoothing:g}",
            "epoch that was kept": f"number {self.history.best_epoch + 1}, of the lowest loss on validation",
            "batch normalisation": statistics[self.recipe.batchnorm],
            "mirrored": "yes" if self.recipe.view.mirror else "no",
            **self._cut_short(),
        }

    def _cut_short(self) -> dict[str, str]:
        """Say where a time budget ended the training."""
        cut = self.history.stopped_early  # a lack of progress never does, see `fine_tune`
        return {"stopped": f"by the clock, in epoch {len(self.history)} of {self.recipe.epochs}"} if cut else {}


def fine_tune(
    model: nn.Module,
    train: PhotoSource,
    validation: PhotoSource,
    recipe: PhotoRecipe,
    *,
    probe: ChosenProbe | None = None,
    beside: Consistency | None = None,
    scratch: bool = False,
    keep_best: bool = True,
    seed: int = 0,
    device: torch.device | str | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: bool = True,
) -> History:
    """Train by a recipe, and keep the weights of the epoch with the lowest loss on validation, or the last ones.

    The head starts as the linear probe's (LP-FT): a random one would pull the features about before it knows anything.
    Without a probe it stays as it is. With `scratch`, nothing was carried over, so all stages get the same, higher rate
    of the recipe. `keep_best=False` keeps the last epoch, in which the rate is lowest. Low-rank changes are merged in
    the end: the network is as plain as before. `beside` joins photographs without labels, and `stop` is that of `fit`.
    Raises ValueError where photographs, head and recipe do not fit together, and NonFiniteLossError.

    Source: Kumar, Raghunathan, Jones, Ma and Liang, "Fine-tuning can distort pretrained features and underperform
    out-of-distribution", 2022, ICLR.
    """
    if probe is not None:
        write_head(model, probe.probe)
    how = training_of(model, train, recipe, beside=beside, scratch=scratch, seed=seed, device=device)
    # Dropout draws from PyTorch's own generator
    with seeded("fine-tuning", seed), folded_in_training(model, glance(model, train)):
        history = fit(
            model,
            **how,
            epochs=recipe.epochs,
            validation=validation.in_order(),
            patience=recipe.epochs if keep_best else None,  # never stops early, but goes back to the best epoch
            device=device,
            stop=stop,
            progress=progress,
        )
    if recipe.rank is not None:
        freeze(merge_lora(model), 0)  # nothing stays frozen
    return history


def training_of(
    model: nn.Module,
    train: PhotoSource,
    recipe: PhotoRecipe,
    *,
    beside: Consistency | None = None,
    scratch: bool = False,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> dict[str, object]:
    """Prepare a network in place, and return the batches, optimizer, schedule and loss that train it by a recipe."""
    if recipe.rank is not None:
        with seeded("low-rank changes", seed):  # drawn on the CPU, the same for every device
            add_lora(model.cpu(), recipe.rank, norms=True, batchnorm=recipe.batchnorm)
    model.to(pick_device(device))
    set_statistics(model, "adapt" if scratch else recipe.batchnorm)
    batches = train.for_training(recipe.batch, recipe.view, seed, recipe.steps)
    loss = class_loss(train.labels, get_classifier(model).out_features, recipe.smoothing)
    if beside is not None:
        batches, loss = beside.batches(model, batches), beside.loss(loss)
    rates = layerwise_lr(model, recipe.scratch_lr if scratch else recipe.lr, 1.0 if scratch else recipe.layer_decay)
    total = max(5, recipe.epochs * len(batches))  # fewer have no update in which the rate rises
    how = {"weight_decay": recipe.weight_decay, "warm": recipe.warm, "fused": False}
    optimizer, schedule = adamw(model, rates, total, **how)
    return {"batches": batches, "optimizer": optimizer, "schedule": schedule, "loss": loss}


def glance(model: nn.Module, photos: PhotoSource) -> torch.Tensor:
    """Return an image of noise as a network takes these photographs, float32 `[1, 3, crop, crop]`, on its device."""
    side = photos.preprocessing.crop
    return torch.randn(1, 3, side, side, generator=generator("folding")).to(next(model.parameters()).device)


def fine_tune_or_keep(
    model: nn.Module,
    train: PhotoSource,
    validation: PhotoSource,
    recipe: PhotoRecipe,
    probe: ChosenProbe,
    **options: object,
) -> Tuned:
    """Fine-tune from a probe, and go back to the probe where its loss on validation is lower.

    Both are compared at a temperature of their own, since label smoothing makes one of them less sure. The network
    comes with the probe's head and is changed in place; `options` are those of `fine_tune`.
    """
    before = copy_weights(model)
    history = fine_tune(model, train, validation, recipe, probe=probe, **options)
    logits = predict(model, validation.in_order())
    losses = [own_loss(one, validation.labels) for one in (logits, probe.logits)]
    tuned = Tuned(recipe, history, probe, logits, *losses, history.validation_accuracy[history.best_epoch])
    if tuned.kept == "linear probe":
        model.load_state_dict(before)
    return tuned


def set_statistics(model: nn.Module, policy: str) -> None:
    """Say what the running statistics of batch normalisation do while all weights move.

    With `"adapt"` they follow the new photographs, with `"keep"` they stay those of the source. Raises ValueError for
    any other policy.
    """
    if policy not in ("adapt", "keep"):
        raise ValueError(f"batchnorm is {policy!r}. Expected 'adapt' or 'keep'.")
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.holds_still = policy == "keep"


def class_loss(labels: torch.Tensor, classes: int, smoothing: float) -> Loss:
    """Return a cross-entropy of logits `[B, classes]` in which every class counts the same, however many it has.

    `labels` are those of all training photographs, and `smoothing` is the share of the target that is spread over all
    classes.
    """
    sizes = torch.bincount(labels, minlength=classes).float()
    weights = len(labels) / (classes * sizes.clamp(min=1))

    def loss(logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, answers, weights.to(logits), label_smoothing=smoothing)

    return loss


def own_loss(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the cross-entropy at the temperature that suits these logits best."""
    return F.cross_entropy(logits / careful_temperature(logits, labels), labels).item()
