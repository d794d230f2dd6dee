"""All steps in a row, as the command `tlcourse finetune` takes them: divide, read, probe, fine-tune, evaluate, save."""

import contextlib
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from tlcourse.data.transforms import Preprocessing
from tlcourse.photos.beside import fine_tune_beside, pseudo_label_beside
from tlcourse.photos.budget import Budget, check_alone, check_time, seconds_an_update
from tlcourse.photos.classifier import save_classifier
from tlcourse.photos.consistency import lengthened
from tlcourse.photos.evaluation import Evaluation, careful_temperature, evaluate_photos
from tlcourse.photos.finetuning import Tuned
from tlcourse.photos.memory import PhotoSource, open_photos
from tlcourse.photos.networks import photo_network
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.probe import CachedFeatures, ChosenProbe, cache_features, cross_validated_probe, solve_photo_probe
from tlcourse.photos.recipe import PhotoRecipe, choose_recipe
from tlcourse.photos.splits import PhotoParts, train_validation_test
from tlcourse.photos.unlabelled import Worth, apart_from
from tlcourse.repro import pick_device
from tlcourse.transfer.heads import get_classifier
from tlcourse.transfer.linear_probe import write_head

Tell = Callable[[str], None]
TWICE = ", once without the photographs that have no labels and once with them"


class _Steps:
    """Says what comes, and measures how long it takes."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.seconds: dict[str, float] = {}  # by step

    @contextlib.contextmanager
    def __call__(self, name: str, words: str) -> Iterator[None]:
        self.tell(words)
        begin = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begin


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
    temperature: float  # fitted on validation photographs, or in cross-validation
    evaluation: Evaluation  # of what was kept, on the test photographs
    seconds: dict[str, float] = field(default_factory=dict)  # by step
    worth: Worth | None = None  # of photographs without labels, where there were some
    budget: Budget | None = None  # of time, where there was one

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
        extras = [part.in_words() for part in (self.worth, self.budget) if part]
        tuned = self.tuned.in_words() if self.tuned else {}
        whole = self.probe.in_words() if self.probe.folds else {}  # also found once more after a fine-tuning
        return tuned | whole | dict(ChainMap(*extras)) | {"seed": f"{self.seed}"}


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
    budget: Budget | None = None,
    side: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool = True,
    tell: Tell = lambda words: None,
) -> TrainedPhotos:
    """Divide, read, probe, fine-tune, choose, fit the temperature, and measure on the test photographs, in this order.

    `recipe` is that of `choose_recipe`, and `changes` replace fields of it. `unlabelled` are photographs of which no
    label is read; what learned from them too is kept where validation shows no harm. A `budget` of time shortens the
    recipe to what fits, and does without them. `tell` is given a line before each step. Raises ValueError where a class
    has too few different photographs, an option is out of range or the budget too small, and StorageError where weights
    or photographs cannot be read.
    """
    step = _Steps(tell)
    check_alone(budget, unlabelled)
    parts = train_validation_test(photos, test, seed=seed)
    used = None if unlabelled is None else apart_from(unlabelled, [photos] if test is None else [photos, test])
    how = {"seed": seed, "progress": progress}
    with step("network", f"Network: {backbone}, {len(photos.classes)} classes."):
        model, preprocessing = photo_network(backbone, len(photos.classes), weights, side=side, **how)
        model.to(pick_device(device))
    kept = {"most_bytes": 0} if probe_only else {"progress": progress}  # a probe needs each photograph once
    check_time(budget, model, parts, preprocessing)
    with step("reading", f"Reading: {', '.join(f'{n:,} for {name}' for name, n in parts.counts().items())}."):
        sources = [open_photos(part, preprocessing, **kept) for part in (parts.train, parts.validation)]
        unknown = None if used is None else open_photos(used.photos, preprocessing, **kept)
    with step("probe", "Probe: photographs go once through the frozen network, then the best linear head is found."):
        probe, tuned, worth = _first_probe(model, sources, probe_only, **how), None, None
    tell(f"  {probe}")
    chosen = None if probe_only else _recipe(recipe, probe, changes or {}, unknown)
    if chosen is not None and budget is not None:
        chosen, how["stop"] = _planned(budget, chosen, model, sources[0], parts, step, device), budget.over
        tell(f"  {budget.in_words()['time budget']}.")
    if chosen is not None:
        with step("fine-tuning", f"Fine-tuning of {chosen.trained} by the {chosen}{TWICE if used else ''}."):
            tuned, worth = fine_tune_beside(model, *sources, unknown, used, chosen, probe, device=device, **how)
    elif used is not None:
        with step("pseudo-labels", f"Pseudo-labels: the head answers for {len(unknown):,} photographs without labels."):
            probe, worth = pseudo_label_beside(model, probe, photos.classes, unknown, used, progress)
    for words in [*([f"{tuned}."] if tuned else []), *(worth.in_lines() if worth else [])]:
        tell(f"  {words}")
    probe, temperature = _settled(model, parts, probe, tuned, worth, seed, tell)
    with step("test", f"Test: {len(parts.test):,} photographs that had no part in any choice."):
        evaluation = evaluate_photos(model, open_photos(parts.test, preprocessing, most_bytes=0), temperature, progress)
    network = (backbone, model, preprocessing, seed)
    return TrainedPhotos(*network, parts, probe, tuned, temperature, evaluation, step.seconds, worth, budget)


def _planned(
    budget: Budget,
    recipe: PhotoRecipe,
    model: nn.Module,
    train: PhotoSource,
    parts: PhotoParts,
    step: _Steps,
    device: torch.device | str | None,
) -> PhotoRecipe | None:
    """Return what fits of a recipe, by the time that reading, features and a few updates took; None where nothing."""
    counts = parts.counts()
    known = counts["train"] + counts["validation"]
    with step("planning", "Plan: a few updates are timed, on a copy of the network."):
        update = seconds_an_update(model, train, recipe, device)
    reading, features = (step.seconds[name] / known for name in ("reading", "probe"))
    validation = features * counts["validation"]
    end = validation + (reading + features) * counts["test"]
    fits = budget.plan(recipe, update, recipe.updates(counts["train"]), validation, end)
    return fits if fits.epochs else None


def _recipe(wanted: str, probe: ChosenProbe, changes: Mapping[str, object], unknown: PhotoSource | None) -> PhotoRecipe:
    """Choose by the probe's mistakes; lengthened for photographs without labels, unless the epochs are given."""
    chosen = choose_recipe(wanted, probe.mistakes, **changes)
    if unknown is None or "epochs" in changes:
        return chosen
    return lengthened(chosen, len(probe.known.labels), len(unknown))


def _settled(
    model: nn.Module,
    parts: PhotoParts,
    probe: ChosenProbe,
    tuned: Tuned | None,
    worth: Worth | None,
    seed: int,
    tell: Tell,
) -> tuple[ChosenProbe, float]:
    """Fit the temperature on what chose; a probe that was kept beside a fine-tuning learns from validation too."""
    if worth is not None and worth.kept:
        return probe, careful_temperature(worth.beside, worth.labels)
    if tuned is not None and tuned.kept == "fine-tuned":
        return probe, careful_temperature(tuned.logits, parts.validation.labels)
    if not probe.folds:
        groups = torch.cat([parts.train.groups, parts.validation.groups])
        probe = _of_all(model, probe.known.joined(probe.asked), groups, seed)
        tell(f"  The probe is found once more, from the validation photographs too: {probe}")
    return probe, careful_temperature(probe.logits, probe.asked.labels)


def _first_probe(
    model: nn.Module, sources: Sequence[PhotoSource], probe_only: bool, seed: int, progress: bool
) -> ChosenProbe:
    """Find the probe of all photographs, or where it will be fine-tuned, of those for training."""
    if not probe_only:
        return probe_photos(model, *sources, progress)
    photos = sources[0].photos.joined(sources[1].photos)
    known = cache_features(model, PhotoSource(photos, sources[0].preprocessing), progress)
    return _of_all(model, known, photos.groups, seed)


def _of_all(model: nn.Module, known: CachedFeatures, groups: torch.Tensor, seed: int) -> ChosenProbe:
    """Find the probe of training and validation photographs together, and write it into the network."""
    probe = cross_validated_probe(known, groups, get_classifier(model).out_features, seed)
    write_head(model, probe.probe)
    return probe


def probe_photos(model: nn.Module, train: PhotoSource, validation: PhotoSource, progress: bool = False) -> ChosenProbe:
    """Find the best linear head for the features of a network, and write it into the network."""
    known = [cache_features(model, photos, progress=progress) for photos in (train, validation)]
    probe = solve_photo_probe(*known, len(train.classes))
    write_head(model, probe.probe)
    return probe
