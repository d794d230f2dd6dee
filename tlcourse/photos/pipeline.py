"""All steps in a row, as the command `tlcourse finetune` takes them: divide, read, probe, fine-tune, evaluate, save."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.transforms import Preprocessing
from tlcourse.photos.classifier import save_classifier
from tlcourse.photos.evaluation import Evaluation, evaluate_photos
from tlcourse.photos.finetuning import (
    ChosenProbe,
    ask,
    cache_features,
    careful_temperature,
    fine_tune,
    solve_photo_probe,
)
from tlcourse.photos.memory import PhotoSource, open_photos
from tlcourse.photos.networks import photo_network
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.recipe import PhotoRecipe
from tlcourse.photos.splits import PhotoParts, train_validation_test
from tlcourse.repro import pick_device
from tlcourse.training.checkpoint import History, copy_weights
from tlcourse.transfer.linear_probe import write_head

Tell = Callable[[str], None]


@dataclass
class TrainedPhotos:
    """What came of a folder of photographs."""

    name: str  # of the network
    model: nn.Module
    preprocessing: Preprocessing
    recipe: PhotoRecipe
    seed: int
    parts: PhotoParts
    probe: ChosenProbe
    history: History | None  # None where only the probe was wanted
    kept: str  # "probe" or "fine-tuned": which of them validation preferred
    temperature: float  # fitted on the validation photographs
    evaluation: Evaluation  # of what was kept, on the test photographs
    seconds: dict[str, float] = field(default_factory=dict)  # by step

    def save(self, folder: Path | str, report: str | None = None) -> Path:
        """Write the classifier into a folder of its own; see `save_classifier`."""
        return save_classifier(
            folder,
            self.model,
            backbone=self.name,
            classes=self.evaluation.classes,
            preprocessing=self.preprocessing,
            temperature=self.temperature,
            metrics=self.evaluation.metrics(),
            counts=self.parts.counts(),
            training=self.in_words(),
            report=report,
        )

    def in_words(self) -> dict[str, str]:
        """Say how the classifier was trained."""
        fine_tuned = "the whole network, fine-tuned"
        what = fine_tuned if self.kept == "fine-tuned" else "the linear probe on the frozen network"
        words = {"what was kept": what, "penalty of the probe": f"{self.probe.penalty:g}", "seed": str(self.seed)}
        if self.history is not None:
            rule, best = self.recipe, self.history.best_epoch
            words |= {
                "epochs": f"{rule.epochs}, the best of them number {best + 1}",
                "learning rate": f"{rule.lr:g} at the head, {rule.layer_decay:g} of it per stage towards the pixels",
                "batch normalisation": {"adapt": "follows these photographs", "keep": "as in the source"}[
                    rule.batchnorm
                ],
                "mirrored": "yes" if rule.view.mirror else "no",
            }
        return words


class Stopwatch:
    """Measures steps, and says what each is before it begins."""

    def __init__(self, tell: Tell) -> None:
        self.tell, self.seconds, self.step, self.since = tell, {}, "", time.perf_counter()

    def begin(self, step: str, words: str) -> None:
        """End the step before and begin another."""
        self.end()
        self.step = step
        self.tell(words)

    def end(self) -> None:
        """End the step."""
        now = time.perf_counter()
        if self.step:
            self.seconds[self.step] = now - self.since
        self.step, self.since = "", now


def train_on_photos(
    photos: PhotoSet,
    backbone: str = "mobilenet_v2",
    weights: str | Path | None = "DEFAULT",
    *,
    test: PhotoSet | None = None,
    recipe: PhotoRecipe | None = None,
    probe_only: bool = False,
    side: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool = True,
    tell: Tell = lambda words: None,
) -> TrainedPhotos:
    """Divide, read, probe, fine-tune, choose, fit the temperature, and measure on the test photographs, in this order.

    `tell` is given a line before each step. Raises ValueError where a class has too few different photographs or an
    option is out of range, and StorageError where weights or photographs cannot be read.
    """
    recipe, watch = recipe or PhotoRecipe(), Stopwatch(tell)
    parts = train_validation_test(photos, test, seed=seed)
    watch.begin("network", f"Network: {backbone}, {len(photos.classes)} classes.")
    network = photo_network(backbone, len(photos.classes), weights, seed=seed, side=side, progress=progress)
    model, preprocessing = network
    model.to(torch.device(device) if device else pick_device())
    watch.begin("reading", f"Reading: {_listed(parts.counts())}.")
    train, validation = (
        open_photos(part, preprocessing, progress=progress) for part in (parts.train, parts.validation)
    )
    watch.begin("probe", "Probe: photographs go once through the frozen network, then the best linear head is found.")
    probe = probe_photos(model, train, validation)
    watch.tell(f"  {probe.validation_accuracy:.1f} % right on validation.")
    history, kept = None, "probe"
    if not probe_only:
        watch.begin("fine-tuning", f"Fine-tuning: {recipe.epochs} epochs of the whole network.")
        options = {"seed": seed, "device": device, "progress": progress}
        history, kept = fine_tune_or_keep(model, train, validation, recipe, probe, **options)
        watch.tell(f"  {max(history.validation_accuracy):.1f} % right on validation at best; kept: {kept}.")
    temperature = careful_temperature(ask(model, validation), validation.labels)
    watch.begin("test", f"Test: {len(parts.test):,} photographs that had no part in any choice.")
    evaluation = evaluate_photos(model, open_photos(parts.test, preprocessing, progress=progress), temperature)
    watch.end()
    found = (backbone, model, preprocessing, recipe, seed, parts, probe, history, kept, temperature, evaluation)
    return TrainedPhotos(*found, watch.seconds)


def probe_photos(model: nn.Module, train: PhotoSource, validation: PhotoSource) -> ChosenProbe:
    """Find the best linear head for the features of a network, and write it into the network."""
    probe = solve_photo_probe(cache_features(model, train), cache_features(model, validation), len(train.classes))
    write_head(model, probe.probe)
    return probe


def fine_tune_or_keep(
    model: nn.Module,
    train: PhotoSource,
    validation: PhotoSource,
    recipe: PhotoRecipe,
    probe: ChosenProbe,
    **options: object,
) -> tuple[History, str]:
    """Fine-tune from a probe, and go back to the probe where its loss on validation is lower; says which was kept.

    Both are compared at a temperature of their own, since label smoothing makes one of them less sure. The network
    comes with the probe's head and is changed in place; `options` are those of `fine_tune`.
    """
    before, loss_before = copy_weights(model), _loss(model, validation)
    history = fine_tune(model, train, validation, recipe, probe=probe, **options)
    if _loss(model, validation) <= loss_before:
        return history, "fine-tuned"
    model.load_state_dict(before)
    return history, "probe"


def _loss(model: nn.Module, photos: PhotoSource) -> float:
    logits = ask(model, photos)
    return F.cross_entropy(logits / careful_temperature(logits, photos.labels), photos.labels).item()


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} for {name}" for name, n in counts.items())
