"""A trained classifier of photographs: saved with its card as one unit, and used in a fresh process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from PIL import Image
from torch import nn

from tlcourse.data.transforms import Preprocessing
from tlcourse.evaluation.intervals import Interval
from tlcourse.models.backbone_weights import load_found
from tlcourse.models.compression.quantized import is_int8, with_int8
from tlcourse.photos.memory import read_for
from tlcourse.photos.model_card import ModelCard, card_from_json
from tlcourse.photos.networks import check_network, photo_network
from tlcourse.photos.one_pass import one_pass
from tlcourse.photos.read import to_rgb
from tlcourse.photos.whole_folder import check_target, restore, write_folder
from tlcourse.storage import StorageError, read_tensors, sha256
from tlcourse.transfer.heads import get_classifier

WEIGHTS, CARD, PAGE, REPORT = "model.safetensors", "model_card.json", "MODEL_CARD.md", "report.html"
ONNX = "model.onnx"
FILES = (WEIGHTS, CARD, PAGE, REPORT)
Photo = Path | str | Image.Image


class Answer(NamedTuple):
    """A class, and the probability that the classifier gives it, from 0 to 1."""

    label: str
    probability: float


@dataclass(eq=False)
class Classifier:
    """A network with all that is needed to ask it about a photograph."""

    model: nn.Module
    card: ModelCard

    def __post_init__(self) -> None:
        _check_head(self.model, self.card.classes)
        self.model.eval()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.card.classes

    @property
    def preprocessing(self) -> Preprocessing:
        """What photographs go through before the network."""
        return self.card.preprocessing

    @property
    def temperature(self) -> float:
        """By what logits are divided before they become probabilities; fitted on validation photographs."""
        return self.card.temperature

    def classify(
        self, images: Photo | Sequence[Photo], top: int = 3, temperature: float | None = None
    ) -> list[Answer] | list[list[Answer]]:
        """Name the `top` most probable classes of a photograph, or of each in a list.

        Raises PhotoError where a file cannot be opened as a picture, and ValueError where `top` is below 1 or there is
        none.
        """
        if top < 1:
            raise ValueError(f"top is {top}, but at least 1 was expected: how many classes to name.")
        single = isinstance(images, Photo)
        probability = self.probabilities([images] if single else images, temperature)
        values, places = probability.sort(dim=1, descending=True, stable=True)
        pairs = zip(places[:, :top].tolist(), values[:, :top].tolist(), strict=True)
        answers = [[Answer(self.classes[c], p) for c, p in zip(*pair, strict=True)] for pair in pairs]
        return answers[0] if single else answers

    def probabilities(self, images: Sequence[Photo], temperature: float | None = None) -> torch.Tensor:
        """Return the probability of every class for every photograph, float32 `[N, classes]`; rows sum to 1."""
        temperature = self.temperature if temperature is None else temperature
        if not temperature > 0:
            raise ValueError(f"temperature is {temperature}, but a number above 0 was expected; 1 changes nothing.")
        return (self.logits(images) / temperature).softmax(1)

    def logits(self, images: Sequence[Photo]) -> torch.Tensor:
        """Return the logits, before the softmax, float32 `[N, classes]` on the CPU."""
        if not len(images):
            raise ValueError("there is no photograph, but at least one was expected.")

        def read(rows: torch.Tensor) -> torch.Tensor:
            return torch.stack([self.prepare(images[row]) for row in rows.tolist()])

        return one_pass(self.model, read, len(images), self.preprocessing.crop)

    def prepare(self, image: Photo) -> torch.Tensor:
        """Return a photograph as the network takes it, float32 `[3, crop, crop]`.

        Raises PhotoError where the file cannot be opened as a picture, and TypeError for anything but a path or a PIL
        image.
        """
        if isinstance(image, Path | str):
            return self.preprocessing.normalised(read_for(image, self.preprocessing))
        if not isinstance(image, Image.Image):
            raise TypeError(
                f"got a {type(image).__name__}, but a path or a PIL image was expected. For a NumPy array use "
                "PIL.Image.fromarray(array)."
            )
        return self.preprocessing(to_rgb(image)[0])


def save_classifier(
    folder: Path | str,
    model: nn.Module,
    *,
    backbone: str,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    temperature: float = 1.0,
    metrics: Mapping[str, Interval | float] | None = None,
    counts: Mapping[str, int] | None = None,
    training: Mapping[str, str] | None = None,
    report: str | None = None,
    others: Mapping[str, str] | None = None,
) -> Path:
    """Write a classifier into a folder of its own, whole or not at all; an older one stays until then.

    The folder gets `model.safetensors`, `model_card.json`, `MODEL_CARD.md`, and `report.html` where that page is given;
    it may hold an older classifier and nothing else. `metrics` are what was measured on test photographs, `counts` the
    photographs by part, `training` short texts by name, and `others` the texts of further files by name. Raises
    ValueError where classes and head differ or there is no such backbone, and StorageError where the folder holds other
    files or could not be written; what was there before is then unchanged.
    """
    check_network(backbone)
    _check_head(model, classes)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    weights = safetensors.torch.save(tensors)
    measured = (metrics or {}, counts or {}, training or {})
    card = ModelCard(backbone, tuple(classes), preprocessing, float(temperature), *measured, sha256=sha256(weights))
    files = {WEIGHTS: weights, CARD: card.to_json().encode(), PAGE: card.to_markdown().encode()}
    if report is not None:
        files[REPORT] = report.encode()
    files |= {name: text.encode() for name, text in (others or {}).items()}
    return write_folder(folder, files, replaces=FILES)


def check_model_folder(folder: Path | str) -> Path:
    """Refuse a folder in which no classifier could be saved (StorageError); ask before a training, not after it."""
    return check_target(folder, FILES)


def load_classifier(folder: Path | str, device: torch.device | str = "cpu") -> Classifier:
    """Read a classifier back; neither network nor training photographs are needed, and no code of the folder is run.

    Raises StorageError where the folder or a file is missing or damaged, or the files do not belong together.
    """
    folder = Path(folder).expanduser()
    restore(folder)
    card = _read_card(folder)
    try:
        model = _rebuild(card, folder / WEIGHTS)
    except ValueError as error:
        raise StorageError(f"{folder} cannot be used: {error}") from error
    return Classifier(model.to(device=device, memory_format=torch.channels_last), card)


def _read_card(folder: Path) -> ModelCard:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise StorageError(
            f"{folder} {what}, but the folder of a saved classifier was expected, with {WEIGHTS} and {CARD} in it. "
            "Check the name; `tlcourse finetune PHOTOS --out FOLDER` makes one."
        )
    if (folder / ONNX).is_file() and not (folder / WEIGHTS).is_file():
        raise StorageError(
            f"{folder} holds a network for other programs, {ONNX}. Expected {WEIGHTS}: ask the classifier that it was "
            "exported from; how other programs ask this one, its MODEL_CARD.md says."
        )
    lacking = [name for name in (WEIGHTS, CARD) if not (folder / name).is_file()]
    if lacking:
        raise StorageError(
            f"{folder} lacks {' and '.join(lacking)}. Expected a whole folder that save_classifier() or `tlcourse "
            "finetune` wrote; copy all of its files."
        )
    try:
        text = (folder / CARD).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise StorageError(f"could not read {folder / CARD}: {error}. Copy the whole folder again.") from error
    return card_from_json(text, str(folder / CARD))


def _rebuild(card: ModelCard, weights: Path) -> nn.Module:
    model = photo_network(card.backbone, len(card.classes), None).model
    tensors = read_tensors(weights, card.sha256)
    if is_int8(tensors):
        model = with_int8(model, tensors)
    else:
        load_found(model, tensors, str(weights))
    model.preprocessing = card.preprocessing
    return model


def _check_head(model: nn.Module, classes: Sequence[str]) -> None:
    count = get_classifier(model).out_features
    if count != len(classes):
        raise ValueError(
            f"the network has a head for {count} classes, but {len(classes)} names of classes were given. Expected one "
            "name a score, in the order that the network was trained with."
        )
