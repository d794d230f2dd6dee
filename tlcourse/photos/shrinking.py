"""A saved classifier made smaller, in one of three ways, and compared with what it was on the same photographs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from tlcourse.evaluation.intervals import Interval, wilson_interval
from tlcourse.evaluation.predict import predict
from tlcourse.models.compression.quantized import is_int8, quantize
from tlcourse.models.cost import multiply_adds
from tlcourse.photos.classifier import CARD, FILES, ONNX, PAGE, Classifier, save_classifier
from tlcourse.photos.evaluation import Evaluation, careful_temperature
from tlcourse.photos.memory import open_photos
from tlcourse.photos.onnx_export import check_export, export_onnx, onnx_logits
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.splits import PhotoParts, train_validation_test
from tlcourse.photos.student import Seen, carried_over, make_student, student_recipe, teach
from tlcourse.photos.whole_folder import write_folder
from tlcourse.repro import generator
from tlcourse.storage import sha256

WAYS = {
    "int8": "weights and sums in whole numbers of 8 bits: a quarter of the bytes, the same network",
    "student": "a smaller network that learned what this one answers: fewer multiply-adds",
    "onnx": "the same network for programs without PyTorch, checked on photographs",
}
CALIBRATION = 200  # photographs, at most, that say how large the numbers in a network get


@dataclass(frozen=True)
class Size:
    """What a classifier takes."""

    file: int  # bytes of its weights
    weights: int
    multiply_adds: int  # a photograph


@dataclass(frozen=True)
class Shrunk:
    """A classifier before and after, on the same test photographs."""

    way: str
    model: nn.Module | bytes  # bytes: an ONNX file
    backbone: str
    card: Classifier
    before: Evaluation
    after: Evaluation
    sizes: tuple[Size, Size]
    counts: Mapping[str, int]
    told: Mapping[str, str] = field(default_factory=dict)  # how it was made, for the card

    @property
    def agreement(self) -> Interval:
        """Share of the test photographs that both take for the same class, in percent."""
        same = self.before.predictions == self.after.predictions
        return wilson_interval(int(same.sum()), len(same))

    def rows(self) -> list[list[str]]:
        """Return a table of what changed: a header, then before and after."""
        header = ["", "weights' file", "weights", "multiply-adds", "accuracy on test photographs"]
        found = zip(("before", "after"), self.sizes, (self.before, self.after), strict=True)
        return [header, *([name, *_in_words(size), f"{asked.accuracy} %"] for name, size, asked in found)]

    def in_lines(self) -> list[str]:
        """Say in words what the table does not."""
        hits = [asked.predictions == asked.labels for asked in (self.before, self.after)]
        lost, won = int((hits[0] & ~hits[1]).sum()), int((~hits[0] & hits[1]).sum())
        share = self.sizes[1].file / self.sizes[0].file
        lines = [
            f"{100 * share:.1f} % of the bytes. Of {len(hits[0]):,} test photographs, both take {self.agreement} % for "
            f"the same class; {lost:,} were right only before, {won:,} only after."
        ]
        if self.way == "int8":
            lines.append("Speed was not gained: this program computes as a processor with 8-bit instructions would.")
        return [*lines, *(f"{name}: {value}" for name, value in self.told.items())]

    def save(self, folder: Path | str) -> Path:
        """Write it into a folder of its own: a classifier as before, or `model.onnx` with its card."""
        old = self.card.card
        metrics = self.after.metrics() | {
            "accuracy before it was made smaller": self.before.accuracy,
            "answers as before, in %": self.agreement,
        }
        training = {**old.training, "made smaller": f"{self.way}: {WAYS[self.way]}", **self.told}
        if isinstance(self.model, bytes):
            changes = {"metrics": metrics, "counts": self.counts, "training": training}
            card = replace(old, **changes, sha256=sha256(self.model))
            page = card.to_markdown(weights=ONNX).encode()
            files = {ONNX: self.model, CARD: card.to_json().encode(), PAGE: page}
            return write_folder(folder, files, replaces=FILES)
        return save_classifier(
            folder,
            self.model,
            backbone=self.backbone,
            classes=old.classes,
            preprocessing=self.model.preprocessing,
            temperature=self.after.temperature,
            metrics=metrics,
            counts=self.counts,
            training=training,
        )


def size_of(model: nn.Module, side: int, file: int | None = None) -> Size:
    """Measure a network; `file` is what its file has, if that is not its state dict alone."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    file = len(safetensors.torch.save(tensors)) if file is None else file
    return Size(file, sum(p.numel() for p in model.parameters()), multiply_adds(model, (3, side, side)))


def divided(classifier: Classifier, photos: PhotoSet, test: PhotoSet | None, seed: int) -> PhotoParts:
    """Divide photographs as `tlcourse finetune` does, for a classifier's classes.

    Raises ValueError where they have other classes.
    """
    strange = sorted(set(photos.classes) ^ set(classifier.classes))
    if strange:
        raise ValueError(
            f"the photographs have the classes {', '.join(map(repr, photos.classes[:10]))}, and the classifier "
            f"{', '.join(map(repr, classifier.classes[:10]))}. Expected the same; these differ: "
            f"{', '.join(map(repr, strange[:5]))}."
        )
    place = {name: number for number, name in enumerate(classifier.classes)}
    labels = torch.tensor([place[name] for name in photos.classes])[photos.labels]
    photos = replace(photos, labels=labels, classes=classifier.classes)
    return train_validation_test(photos, test, seed=seed)


def asked(classifier: Classifier, photos: PhotoSet) -> Evaluation:
    """Ask a classifier about photographs, at its own temperature."""
    source = open_photos(photos, classifier.preprocessing, most_bytes=0)
    logits = predict(classifier.model, source.in_order()) / classifier.temperature
    return Evaluation(logits, photos.labels, photos.classes, classifier.temperature)


def to_int8(classifier: Classifier, parts: PhotoParts, before: Evaluation, seed: int = 0) -> Shrunk:
    """Round a classifier to 8 bits, calibrated on some photographs of the training part."""
    if is_int8(classifier.model.state_dict()):
        raise ValueError("this classifier is in 8 bits already. Expected one in floating point.")
    order = torch.randperm(len(parts.train), generator=generator("calibration", seed))[:CALIBRATION]
    some = open_photos(parts.train, classifier.preprocessing, most_bytes=0)
    small = quantize(classifier.model, some.prepared(order))
    small.preprocessing = classifier.preprocessing
    after = asked(Classifier(small, classifier.card), parts.test)
    side = classifier.preprocessing.crop
    sizes = size_of(classifier.model, side), replace(size_of(classifier.model, side), file=size_of(small, side).file)
    counts = {"calibration": len(order), "test": len(parts.test)}
    return Shrunk("int8", small, classifier.card.backbone, classifier, before, after, sizes, counts)


def to_onnx(classifier: Classifier, parts: PhotoParts, before: Evaluation) -> Shrunk:
    """Export a classifier, and compare its answers on the test photographs, computed by ONNX Runtime."""
    side = classifier.preprocessing.crop
    network = export_onnx(classifier.model, side)
    source = open_photos(parts.test, classifier.preprocessing, most_bytes=0)
    logits = onnx_logits(network, source)
    difference = check_export(predict(classifier.model, source.in_order()), logits)
    after = replace(before, logits=logits / classifier.temperature)
    told = {"largest difference of a score from PyTorch's": f"{difference:.1e}"}
    sizes = size_of(classifier.model, side), size_of(classifier.model, side, len(network))
    counts = {"test": len(parts.test)}
    return Shrunk("onnx", network, classifier.card.backbone, classifier, before, after, sizes, counts, told)


@dataclass(frozen=True)
class Lessons:
    """How a student is to be made and trained; see `make_student` and `student_recipe`."""

    name: str
    weights: str | None = None
    side: int | None = None
    epochs: int | None = None
    mirror: bool = True
    unlabelled: PhotoSet | None = None


def to_student(
    classifier: Classifier,
    parts: PhotoParts,
    before: Evaluation,
    lessons: Lessons,
    *,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool = True,
) -> Shrunk:
    """Train a smaller network on what a classifier answers; its temperature is fitted on validation photographs."""
    student = make_student(lessons.name, classifier, lessons.weights, side=lessons.side, seed=seed)
    model, preprocessing = student
    seen = Seen(
        open_photos(parts.train, classifier.preprocessing, progress=progress),
        open_photos(parts.validation, preprocessing, progress=progress),
        lessons.unlabelled and open_photos(lessons.unlabelled, classifier.preprocessing, progress=progress),
    )
    recipe = student_recipe(carried_over(lessons.name, lessons.weights), lessons.epochs, lessons.mirror)
    history = teach(student, classifier, seen, recipe, seed=seed, device=device, progress=progress)
    model.preprocessing = preprocessing
    temperature = careful_temperature(predict(model, seen.validation.in_order()), parts.validation.labels)
    card = replace(classifier.card, backbone=lessons.name, preprocessing=preprocessing, temperature=temperature)
    after = asked(Classifier(model, card), parts.test)
    beside = f", and {len(lessons.unlabelled):,} photographs without labels" if lessons.unlabelled else ""
    told = {
        "how it learned": f"{recipe}, {'' if lessons.mirror else 'not '}mirrored{beside}; kept: epoch "
        f"{history.best_epoch + 1}, by validation",
        "what it learned from": f"the answers of the {classifier.card.backbone} before it, and with a tenth of the "
        f"weight the labels, in {history.seconds:.0f} s",
    }
    sizes = size_of(classifier.model, classifier.preprocessing.crop), size_of(model, preprocessing.crop)
    return Shrunk("student", model, lessons.name, classifier, before, after, sizes, parts.counts(), told)


def _in_words(size: Size) -> list[str]:
    return [f"{size.file / 1e6:.2f} MB", f"{size.weights:,}", f"{size.multiply_adds / 1e6:,.1f} million"]
