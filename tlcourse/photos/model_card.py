"""What must be known about a trained classifier before it is used: as a record for programs, and as a page to read."""

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tlcourse.data.transforms import Preprocessing
from tlcourse.evaluation.intervals import Interval
from tlcourse.pages.fill import fill
from tlcourse.storage import StorageError

FORMAT = 1
GOOD_FOR = (
    "Sorting photographs into its classes, where they look like those that it was trained on: taken in the same "
    "way, of the same kinds of things."
)
NOT_FOR = (
    "Anything that is none of these classes: it then still names one, sometimes with a high probability. Decisions "
    "about people's health, safety, rights or money. Photographs from other cameras, places or seasons, before its "
    "accuracy was measured on some of them."
)


@dataclass(frozen=True)
class ModelCard:
    """A classifier in words and numbers."""

    backbone: str  # one of photo_network_names()
    classes: tuple[str, ...]  # in the order of the logits
    preprocessing: Preprocessing
    temperature: float = 1.0  # by what logits are divided before they become probabilities
    metrics: Mapping[str, Interval | float] = field(default_factory=dict)  # what was measured, by name
    counts: Mapping[str, int] = field(default_factory=dict)  # photographs by part
    training: Mapping[str, str] = field(default_factory=dict)  # how it was trained, as short texts by name
    good_for: str = GOOD_FOR
    not_for: str = NOT_FOR
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))  # ISO 8601
    versions: Mapping[str, str] = field(default_factory=lambda: package_versions())
    sha256: str = ""  # of the file of weights that belongs to this card
    format: int = FORMAT

    def __post_init__(self) -> None:
        texts = all(isinstance(name, str) and name for name in self.classes)
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes) or not texts:
            raise ValueError(f"the classes are {list(self.classes)[:5]}. Expected at least two different names.")
        numeric = isinstance(self.temperature, int | float) and not isinstance(self.temperature, bool)
        if not numeric or not 0 < self.temperature < math.inf:
            raise ValueError(f"the temperature is {self.temperature!r}, but a finite number above 0 was expected.")

    def to_json(self) -> str:
        """Return the card as JSON text."""
        return json.dumps(
            asdict(self) | {"preprocessing": self.preprocessing.to_json(), "classes": list(self.classes)},
            indent=2,
            ensure_ascii=False,
        )

    def to_markdown(self, weights: str = "model.safetensors") -> str:
        """Return the card as a page to read; `weights` is the name of the file that it belongs to."""
        metrics = {name: f"{value:.1f}" if isinstance(value, float) else value for name, value in self.metrics.items()}
        return fill("model_card.md", card=self, metrics=metrics, weights=weights)


def card_from_json(text: str, where: str) -> ModelCard:
    """Read back what `to_json` returned, from the file `where`.

    Raises StorageError where it is damaged, of another program, or of another version.
    """
    names = {f.name for f in fields(ModelCard)}
    try:
        record = json.loads(text)
        lacking = sorted(names - set(record))
        if lacking:
            raise ValueError(f"it is no card of a classifier of the course, for it lacks {', '.join(lacking[:4])}.")
        if record["format"] != FORMAT:
            raise ValueError(f"it has format {record['format']!r}, and {FORMAT} was expected: of another version.")
        return ModelCard(**{name: record[name] for name in names} | _parsed(record))
    except (ValueError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{where} cannot be used: {error} Expected the file that save_classifier() wrote. Copy the whole folder "
            "again, or train again."
        ) from error


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a classifier depends on."""
    names = ("tlcourse", "torch", "torchvision", "pillow", "safetensors")
    return {"python": platform.python_version()} | {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # a checkout that was never installed
        return "unknown"


def _parsed(record: dict[str, Any]) -> dict[str, Any]:
    """Turn the parts of a record that JSON has no types for into what they were."""
    if not isinstance(record["classes"], list) or not all(isinstance(record[n], str) for n in ("backbone", "sha256")):
        raise ValueError("classes must be a list, backbone and sha256 texts.")
    if not all(isinstance(record[name], dict) for name in ("metrics", "counts", "training", "versions")):
        raise ValueError("metrics, counts, training and versions must be objects with a value by name.")
    metrics = {k: Interval(**v) if isinstance(v, dict) else float(v) for k, v in record["metrics"].items()}
    return {
        "classes": tuple(record["classes"]),
        "preprocessing": Preprocessing.from_json(record["preprocessing"]),
        "metrics": metrics,
        "training": {name: str(text) for name, text in record["training"].items()},
    }
