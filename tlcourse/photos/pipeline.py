"""All steps in a row, as the command `tlcourse finetune` takes them: divide, read, probe, fine-tune, evaluate, save."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from tlcourse.data.transforms import Preprocessing
from tlcourse.photos.beside import fine_tune_beside, pseudo_label_beside
from tlcourse.photos.classifier import save_classifier
from tlcourse.photos.consistency import lengthened
from tlcourse.photos.evaluation import Evaluation, careful_temperature, evaluate_photos
from tlcourse.photos.finetuning import (
    ChosenProbe,
    Tuned,
    cache_features,
    refitted,
    solve_photo_probe,
)
from tlcourse.photos.memory import PhotoSource, open_photos
from tlcourse.photos.networks import photo_network
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.recipe import PhotoRecipe, choose_recipe
from tlcourse.photos.splits import PhotoParts, train_validation_test
from tlcourse.photos.unlabelled import Worth, apart_from
from tlcourse.repro import pick_device
from tlcourse.transfer.linear_probe import write_head

Tell = Callable[[str], None]
TWICE = ", once without the photographs that have no labels and once with them"


@dataclass
class TrainedPhotos:
    """What came of a folder of photographs."""

    name: str  # of the network
    model: nn.Module
    preprocessing: Preprocessing
    seed: int
    parts: PhotoParts
    probe: ChosenProbe
    tuned: Tuned | None  # None where only the probe was wanted
    temperature: float  # fitted on the validation photographs
    evaluation: Evaluation  # of what was kept, on the test photographs
    seconds: dict[str, float] = field(default_factory=dict)  # by step
    worth: Worth | None = None  # of photographs without labels, where there were some

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
        beside = self.worth.in_words() if self.worth else {}
        return (self.tuned or self.probe).in_words() | beside | {"seed": f"{self.seed}"}


def train_on_photos(
    photos: PhotoSet,
    backbone: str = "mobilenet_v2",
    weights: str | Path | None = "DEFAULT",
    *,
    test: PhotoSet | None = None,
    unlabelled: PhotoSet | None = None,
    recipe: str = "auto",
    changes: Mapping[str, object] | None = None,
    probe_only: bool = False,
    side: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool = True,
    tell: Tell = lambda words: None,
) -> TrainedPhotos:
    """Divide, read, probe, fine-tune, choose, fit the temperature, and measure on the test photographs, in this order.

    `recipe` is that of `choose_recipe`, and `changes` replace fields of it. `unlabelled` are photographs of which no
    label is read; what learned from them too is kept where validation shows no harm. `tell` is given a line before each
    step. Raises ValueError where a class has too few different photographs or an option is out of range, and
    StorageError where weights or photographs cannot be read.
    """
    seconds: dict[str, float] = {}
    step = partial(_step, tell, seconds)
    parts = train_validation_test(photos, test, seed=seed)
    used = None if unlabelled is None else apart_from(unlabelled, [photos] if test is None else [photos, test])
    with step("network", f"Network: {backbone}, {len(photos.classes)} classes."):
        network = photo_network(backbone, len(photos.classes), weights, seed=seed, side=side, progress=progress)
        model, preprocessing = network
        model.to(pick_device(device))
    # the probe needs each photograph once; a training needs them again and again
    kept = {"most_bytes": 0} if probe_only else {"progress": progress}
    with step("reading", f"Reading: {', '.join(f'{n:,} for {name}' for name, n in parts.counts().items())}."):
        sources = [open_photos(part, preprocessing, **kept) for part in (parts.train, parts.validation)]
        unknown = None if used is None else open_photos(used.photos, preprocessing, **kept)
    with step("probe", "Probe: photographs go once through the frozen network, then the best linear head is found."):
        probe, tuned, worth = probe_photos(model, *sources, progress), None, None
    tell(f"  {probe.validation_accuracy:.1f} % right on validation, {probe.mistakes} mistakes.")
    options = {"seed": seed, "progress": progress}
    if not probe_only:
        chosen = _recipe(recipe, probe, changes or {}, unknown)
        options["device"] = device
        with step("fine-tuning", f"Fine-tuning of the whole network by the {chosen}{TWICE if used else ''}."):
            tuned, worth = fine_tune_beside(model, *sources, unknown, used, chosen, probe, **options)
        tell(f"  {tuned}.")
    elif used is not None:
        with step("pseudo-labels", f"Pseudo-labels: the head answers for {len(unknown):,} photographs without labels."):
            probe, worth = pseudo_label_beside(model, probe, parts, unknown, used, **options)
    for words in worth.in_lines() if worth else ():
        tell(f"  {words}")
    probe, tuned, temperature = _settled(model, parts, probe, tuned, worth, tell)
    with step("test", f"Test: {len(parts.test):,} photographs that had no part in any choice."):
        asked = open_photos(parts.test, preprocessing, most_bytes=0)
        evaluation = evaluate_photos(model, asked, temperature, progress)
    found = (backbone, model, preprocessing, seed, parts, probe, tuned, temperature, evaluation)
    return TrainedPhotos(*found, seconds, worth)


def _recipe(wanted: str, probe: ChosenProbe, changes: Mapping[str, object], unknown: PhotoSource | None) -> PhotoRecipe:
    """Choose by the probe's mistakes; lengthened for photographs without labels, unless the epochs are given."""
    chosen = choose_recipe(wanted, probe.mistakes, **changes)
    if unknown is None or "epochs" in changes:
        return chosen
    return lengthened(chosen, len(probe.train.labels), len(unknown))


def _settled(
    model: nn.Module, parts: PhotoParts, probe: ChosenProbe, tuned: Tuned | None, worth: Worth | None, tell: Tell
) -> tuple[ChosenProbe, Tuned | None, float]:
    """Fit the temperature on what chose, and a probe that was kept once more, with the validation photographs."""
    if worth is not None and worth.kept:
        return probe, tuned, careful_temperature(worth.beside, worth.labels)
    if tuned is not None and tuned.kept == "fine-tuned":
        return probe, tuned, careful_temperature(tuned.logits, parts.validation.labels)
    tell("  The probe is fitted once more, to the validation photographs too; what was said of it is from before.")
    whole = refitted(probe)
    write_head(model, whole.probe)
    return whole, tuned and replace(tuned, probe=whole), careful_temperature(probe.logits, parts.validation.labels)


@contextlib.contextmanager
def _step(tell: Tell, seconds: dict[str, float], name: str, words: str) -> Iterator[None]:
    """Say what comes, and measure how long it takes."""
    tell(words)
    begin = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - begin


def probe_photos(model: nn.Module, train: PhotoSource, validation: PhotoSource, progress: bool = False) -> ChosenProbe:
    """Find the best linear head for the features of a network, and write it into the network."""
    known = [cache_features(model, photos, progress=progress) for photos in (train, validation)]
    probe = solve_photo_probe(*known, len(train.classes))
    write_head(model, probe.probe)
    return probe
