"""From labelled photographs to unlabelled ones that look different: all steps of `tlcourse adapt`, in a row.

Nothing here takes a label of the target. `measured` does, after everything was chosen and predicted.
"""

import copy
import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from tlcourse.adaptation.validators import VALIDATORS
from tlcourse.data.transforms import Preprocessing
from tlcourse.evaluation.intervals import Interval, wilson_interval
from tlcourse.photos.adapting import ADABN, METHODS, SOURCE, AdaptedHead, Domains
from tlcourse.photos.classifier import save_classifier
from tlcourse.photos.evaluation import careful_temperature
from tlcourse.photos.memory import PhotoSource, open_photos
from tlcourse.photos.networks import photo_network
from tlcourse.photos.photoset import PhotoSet, in_order_of_content
from tlcourse.photos.probe import cache_features
from tlcourse.photos.read import printable
from tlcourse.photos.splits import check_enough
from tlcourse.repro import generator, pick_device, progress_bar
from tlcourse.transfer.linear_probe import Probe, write_head

VALIDATION = 0.2  # of the source: for the probe's penalty, the temperature, and what is said of the source
AT_A_TIME = 32  # photographs of which batch normalisation measures statistics together
CHOOSES = "information"  # the validator that chooses
SHOWN = ("source", "entropy", "information", "SND")  # not DEV: 1,280 features tell any two folders apart
PREDICTIONS = "predictions.csv"


@dataclass
class AdaptedPhotos:
    """What every method made of two folders of photographs, and which of them was chosen."""

    name: str  # of the network
    model: nn.Module  # with the chosen head
    preprocessing: Preprocessing
    seed: int
    train: PhotoSet
    validation: PhotoSet
    target: PhotoSet  # in an order that does not depend on names
    heads: dict[str, AdaptedHead]
    wanted: str  # the method that was asked for, or "auto"
    seconds: dict[str, float] = field(default_factory=dict)  # by step

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: those of the source."""
        return self.train.classes

    @property
    def values(self) -> dict[str, dict[str, float]]:
        """What each validator says of each method."""
        return {name: {what: VALIDATORS[what](head.evidence) for what in SHOWN} for name, head in self.heads.items()}

    @property
    def chosen(self) -> str:
        """The method that was asked for, else the one of which the validator says most; the first of equals."""
        return chosen_method(self.heads) if self.wanted == "auto" else self.wanted

    @property
    def temperature(self) -> float:
        """By what the chosen head's logits are divided; fitted on the source's validation."""
        evidence = self.heads[self.chosen].evidence
        return careful_temperature(evidence.validation.logits, evidence.labels)

    def counts(self, name: str) -> list[int]:
        """Return how many photographs of the target a method takes for each class."""
        return torch.bincount(self.heads[name].answers, minlength=len(self.classes)).tolist()

    def agreement(self, name: str) -> float:
        """Return for how many photographs of the target a method answers as the source's probe does, in percent."""
        same = self.heads[name].answers == self.heads[SOURCE].answers
        return 100 * same.double().mean().item()

    def predictions(self, copies: Mapping[Path, Path], folder: Path) -> str:
        """Return a table of the target's files, each with its class and how sure that is; `copies` are answered alike.

        The last column is what the head of the source alone would have said.
        """
        chances = (self.heads[self.chosen].evidence.target.logits / self.temperature).softmax(1).max(1)
        before = self.heads[SOURCE].answers.tolist()
        answers = list(zip(chances.indices.tolist(), chances.values.tolist(), before, strict=True))
        of = dict(zip(self.target.paths, answers, strict=True))
        of |= {path: of[partner] for path, partner in copies.items() if partner in of}
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["file", "class", "probability", "source only"])
        for path in sorted(of):
            answer, chance, old = of[path]
            name = printable(path.relative_to(folder).as_posix())
            table.writerow([name, self.classes[answer], f"{chance:.4f}", self.classes[old]])
        return text.getvalue()

    def save(self, folder: Path | str, report: str, predictions: str, accuracy: Interval | None = None) -> Path:
        """Write classifier, report and predictions into a folder of their own; see `save_classifier`.

        `accuracy` is the chosen method's on labels of the target, where there were some.
        """
        metrics = {"accuracy on the source's validation in %": self.values[self.chosen]["source"]}
        if accuracy is not None:
            metrics["accuracy on labelled photographs of the target in % [95 % interval]"] = accuracy
        parts = {"source, train": self.train, "source, validation": self.validation, "target, no labels": self.target}
        return save_classifier(
            folder,
            self.model,
            backbone=self.name,
            classes=self.classes,
            preprocessing=self.preprocessing,
            temperature=self.temperature,
            metrics=metrics,
            counts={name: len(part) for name, part in parts.items()},
            training=self.in_words(),
            report=report,
            others={PREDICTIONS: predictions},
        )

    def in_words(self) -> dict[str, str]:
        """Say how the classifier came about."""
        by = f"the validator {CHOOSES!r}, among {len(self.heads)} methods, without a label of the target"
        return {
            "made by": "tlcourse adapt",
            "method": f"{self.chosen}: {METHODS[self.chosen][1]}",
            "chosen by": by if self.wanted == "auto" else "whoever gave the command",
            "target": self.target.name,
            "seed": f"{self.seed}",
        }


def chosen_method(heads: Mapping[str, AdaptedHead]) -> str:
    """Return the method that the validator puts first; the first of equals."""
    return max(heads, key=lambda name: VALIDATORS[CHOOSES](heads[name].evidence))


def adapt_photos(
    source: PhotoSet,
    target: PhotoSet,
    methods: Sequence[str],
    backbone: str = "mobilenet_v2",
    weights: str | Path | None = "DEFAULT",
    *,
    wanted: str = "auto",
    side: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool = True,
    tell: Callable[[str], None] = lambda words: None,
) -> AdaptedPhotos:
    """Read, send all photographs once through the frozen network, run the methods, choose.

    The target's labels and the names of its folders change nothing. Raises ValueError where a class of the source has
    too few different photographs or the target has fewer than two, and StorageError where weights or photographs cannot
    be read.
    """
    check_enough(source, 2, "one to learn from, one to choose by")
    if len(target) < 2:
        raise ValueError(
            f"the target has {len(target)} usable photographs. Expected at least 2, and better many: what is learned "
            "of a target are its mean, its spread and its groups."
        )
    validation, train = source.split(VALIDATION, seed)
    seconds: dict[str, float] = {}
    parts = (train, validation, in_order_of_content(target))
    model, preprocessing = photo_network(
        backbone, len(source.classes), weights, seed=seed, side=side, progress=progress
    )
    model.to(pick_device(device))
    if not any(isinstance(module, _BatchNorm) for module in model.modules()):
        methods = _without_statistics(methods, wanted, backbone)
    tell(f"Features: {len(source):,} photographs of the source and {len(target):,} of the target, {backbone}.")
    kept = {"progress": progress} if ADABN in methods else {"most_bytes": 0}  # those are seen several times
    begin = time.perf_counter()
    sources = [open_photos(part, preprocessing, **kept) for part in parts]
    domains = cached(model, sources, progress)
    seconds["features"] = time.perf_counter() - begin
    heads, adapted = {}, model
    for name in methods:
        begin, seen = time.perf_counter(), domains
        if name == ADABN:
            adapted, seen = by_own_statistics(model, sources, progress)
        heads[name] = METHODS[name][0](seen, seed)
        seconds[name] = time.perf_counter() - begin
        tell(f"  {name}: {METHODS[name][1]} ({seconds[name]:.0f} s).")
    found = AdaptedPhotos(backbone, model, preprocessing, seed, *parts, heads, wanted, seconds)
    found.model = adapted if found.chosen == ADABN else model
    head = heads[found.chosen]
    write_head(found.model, Probe(head.weight, head.bias, 0.0, 0.0, 0))
    return found


def _without_statistics(methods: Sequence[str], wanted: str, backbone: str) -> list[str]:
    """Leave AdaBN out, or say that it cannot be what was asked for."""
    if wanted == ADABN:
        raise ValueError(f"{ADABN} changes nothing in {backbone}, which has no batch normalisation. Choose another.")
    return [name for name in methods if name != ADABN]


def cached(model: nn.Module, sources: Sequence[PhotoSource], progress: bool = False) -> Domains:
    """Send train, validation and target once through a frozen network; of the target only features are kept."""
    train, validation, target = (cache_features(model, photos, progress) for photos in sources)
    return Domains(train, validation, target.features, len(sources[0].classes))


def by_own_statistics(
    model: nn.Module, sources: Sequence[PhotoSource], progress: bool = False
) -> tuple[nn.Module, Domains]:
    """Let batch normalisation measure each folder, and return the network of the target, and the features (AdaBN).

    Source: Li et al., "Revisiting batch normalization for practical domain adaptation", 2016, arXiv 1603.04779.
    """
    train, validation, target = sources
    of_source, of_target = (measured_anew(model, photos, progress) for photos in (train, target))
    known = [cache_features(of_source, photos, progress) for photos in (train, validation)]
    return of_target, Domains(*known, cache_features(of_target, target, progress).features, len(train.classes))


def measured_anew(model: nn.Module, photos: PhotoSource, progress: bool = False) -> nn.Module:
    """Return a copy of a network in which batch normalisation has the statistics of these photographs."""
    model = copy.deepcopy(model)
    order = torch.randperm(len(photos), generator=generator("statistics"))  # not class by class
    rows = order.tensor_split(max(1, round(len(photos) / AT_A_TIME)))  # of nearly one size, as each counts the same
    batches = progress_bar((photos.prepared(some) for some in rows), "statistics", len(rows), shown=progress)
    update_bn(batches, model, device=next(model.parameters()).device)
    return model


def measured(found: AdaptedPhotos, labels: Mapping[Path, str]) -> dict[str, Interval]:
    """Return each method's accuracy on photographs of the target with labels: at the end, when nothing is chosen.

    In percent, with 95 % intervals of Wilson. Empty where no photograph that was used has a label.
    """
    place = {name: number for number, name in enumerate(found.classes)}
    right = torch.tensor([place[labels[path]] if path in labels else -1 for path in found.target.paths])
    known = right >= 0
    if not known.any():
        return {}
    hits = {name: int((head.answers == right)[known].sum()) for name, head in found.heads.items()}
    return {name: wilson_interval(count, int(known.sum())) for name, count in hits.items()}
