"""How long each control of each lab takes to answer: from the new value to the new picture, on this machine.

    python benchmarks/labs.py [--rounds 9]

Every control is moved through its positions; a number is the median, and the slowest, of all moves of that control.
The goal is a median of at most 200 ms on two cores. The browser adds the time to decode one picture of about 0.4
megapixels. Buttons that start a training are left out: a training runs on its own thread.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import ipywidgets
import torch

os.environ.setdefault("TLCOURSE_PROGRESS", "off")


from tlcourse.data.defects import plant_defects
from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb00_start_here.lab import ShiftLab
from tlcourse.lessons.nb01_preprocessing.inspection import inspect as inspect_images
from tlcourse.lessons.nb01_preprocessing.lab import AugmentationLab, CleaningLab
from tlcourse.lessons.nb02_weight_transfer.lab import WeightTransferLab
from tlcourse.lessons.nb03_fine_tuning.lab import TrainingLab
from tlcourse.lessons.nb04_evaluation.comparing import Experiments
from tlcourse.lessons.nb04_evaluation.experiment import hits_of, train_validation_test
from tlcourse.lessons.nb04_evaluation.lab import CalibrationLab, ComparisonLab, MistakesLab
from tlcourse.lessons.nb05_choosing_a_source.lab import SourceLab
from tlcourse.lessons.nb06_crossing_domains.lab import AlignmentLab
from tlcourse.lessons.nb07_without_labels.lab import ThresholdLab
from tlcourse.lessons.nb08_federated.lab import FederationLab
from tlcourse.lessons.nb09_many_tasks.lab import DirectionsLab
from tlcourse.lessons.nb10_efficiency.lab import BudgetLab
from tlcourse.lessons.nb11_robustness.lab import RobustnessLab
from tlcourse.lessons.nb11_robustness.learning import PROBE, learned, source_network
from tlcourse.lessons.nb12_your_own_images.lab import PredictionLab
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.lab import Lab
from tlcourse.notebook.results import results
from tlcourse.photos.classifier import Classifier
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.model_card import ModelCard
from tlcourse.photos.networks import COURSE_PREPROCESSING
from tlcourse.photos.scan import scan
from tlcourse.repro import generator

GOAL = 200  # milliseconds


def asked() -> tuple[dict[str, torch.Tensor], ImageSet]:
    validation = train_validation_test()[1]
    logits = predict(pretrained("tiny_resnet", "digits"), validation)
    return {"digits": logits, "sharper": 2 * logits}, validation


def experiments() -> Experiments:
    return Experiments(hits_of(results("short_answers"), load("handwritten-photo", split="test").labels))


def cleaning_lab() -> CleaningLab:
    dirty, truth = plant_defects(load("handwritten-photo"), generator("dirt", 0))
    return CleaningLab(inspect_images(dirty, pretrained()), truth)


def prediction_lab() -> PredictionLab:
    folder = Path(tempfile.mkdtemp()) / "digits"
    photos = inspect(scan(write_image_folder(load("handwritten-photo").few(3), folder)), progress=False).photos
    card = ModelCard("tiny_resnet", photos.classes, COURSE_PREPROCESSING)
    return PredictionLab(Classifier(pretrained("tiny_resnet", "digits"), card), photos)


def robustness_lab() -> RobustnessLab:
    few = load("handwritten-photo").few(5, 0)
    return RobustnessLab(source_network(), learned(PROBE, few, 0), few)


LABS = {
    "00 shift": ShiftLab,
    "01 augmentation": lambda: AugmentationLab(
        load("handwritten-photo", split="test"), pretrained("tiny_resnet", "digits")
    ),
    "01 cleaning": cleaning_lab,
    "02 weight transfer": WeightTransferLab,
    "03 training": TrainingLab,
    "04 mistakes": lambda: MistakesLab(*asked()),
    "04 calibration": lambda: CalibrationLab(*asked()),
    "04 comparison": lambda: ComparisonLab(experiments()),
    "05 source": SourceLab,
    "06 alignment": AlignmentLab,
    "07 threshold": ThresholdLab,
    "08 federation": FederationLab,
    "09 directions": DirectionsLab,
    "10 budget": BudgetLab,
    "11 robustness": robustness_lab,
    "12 prediction": prediction_lab,
}


def positions(control: ipywidgets.Widget) -> list:
    """Return up to five values that a control can take, the ends among them."""
    if hasattr(control, "_options_full"):
        values = [value for _, value in control._options_full]
        return values[:: max(1, len(values) // 4)]
    if hasattr(control, "min"):
        middle = (control.min + control.max) / 2
        return [control.min, control.max, int(middle) if isinstance(control.value, int) else middle]
    return [False, True] if isinstance(control.value, bool) else []


def times(lab: Lab, control: ipywidgets.Widget, rounds: int) -> list[float]:
    """Move a control and return the milliseconds of every move to a picture that has to be drawn."""
    before, taken = control.value, []
    for value in positions(control) * rounds:
        if value != control.value:
            lab.forget()
            begin = time.perf_counter()
            control.value = value
            taken.append(1000 * (time.perf_counter() - begin))
    control.value = before
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each position is visited")
    parser.add_argument("--lab", default="", help="only labs whose name contains this")
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}; milliseconds")
    print(f"{'lab':22s} {'control':34s} {'moves':>5s} {'median':>7s} {'slowest':>8s}")
    slow = 0
    for name, make in LABS.items():
        if options.lab not in name:
            continue
        lab = make()
        for control in [lab.controls[key] for key, one in lab.declared.items() if one.shown_by_look]:
            taken = times(lab, control, options.rounds)
            if taken and not control.disabled:
                median = statistics.median(taken)
                slow += median > GOAL
                said = control.description or type(control).__name__
                print(f"{name:22s} {said:34.34s} {len(taken):5d} {median:7.0f} {max(taken):8.0f}", flush=True)
    print(f"{slow} controls over {GOAL} ms" if slow else f"every control answers within {GOAL} ms")


if __name__ == "__main__":
    main()
