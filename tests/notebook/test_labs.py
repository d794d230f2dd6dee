"""What every lab of the course promises: each control moves it, it says what it shows, and it swallows nothing."""

import base64
import io
import re

import ipywidgets as widgets
import pytest
from PIL import Image

from tests.labs import classifier, hits, validation_logits
from tlcourse.data.defects import plant_defects
from tlcourse.data.worlds import load
from tlcourse.lessons.nb00_start_here.lab import ShiftLab
from tlcourse.lessons.nb01_preprocessing.inspection import inspect
from tlcourse.lessons.nb01_preprocessing.lab import AugmentationLab, CleaningLab
from tlcourse.lessons.nb02_weight_transfer.lab import WeightTransferLab
from tlcourse.lessons.nb03_fine_tuning.lab import TrainingLab
from tlcourse.lessons.nb04_evaluation.comparing import Experiments
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
from tlcourse.notebook.controls import Note, Text
from tlcourse.notebook.jobs import Job
from tlcourse.repro import generator


def augmentation_lab():
    return AugmentationLab(load("handwritten-photo", split="test", count=20), pretrained("tiny_resnet", "digits"))


def cleaning_lab():
    dirty, truth = plant_defects(load("handwritten-photo", count=100), generator("dirt", 0), exact=3, near=9, blank=4)
    return CleaningLab(inspect(dirty, pretrained()), truth)


def prediction_lab():
    lab = PredictionLab(classifier())
    picture = io.BytesIO()
    Image.new("RGB", (40, 60), "red").save(picture, "PNG")
    lab.camera_field.value = f"data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}"  # a snapshot
    return lab


def robustness_lab():
    few = load("handwritten-photo").few(2, 0)
    return RobustnessLab(source_network(), learned(PROBE, few, 0), few)


LABS = {
    "00 shift": ShiftLab,
    "01 augmentation": augmentation_lab,
    "01 cleaning": cleaning_lab,
    "04 mistakes": lambda: MistakesLab(*validation_logits()),
    "04 calibration": lambda: CalibrationLab(*validation_logits()),
    "04 comparison": lambda: ComparisonLab(Experiments(hits())),
    "02 weight transfer": WeightTransferLab,
    "03 training": TrainingLab,
    "05 source": SourceLab,
    "06 alignment": AlignmentLab,
    "07 threshold": ThresholdLab,
    "08 federation": FederationLab,
    "09 directions": DirectionsLab,
    "10 budget": BudgetLab,
    "11 robustness": robustness_lab,
    "12 prediction": prediction_lab,
}
QUICK = {  # by lab with jobs: values of controls with which they end within seconds
    "02 weight transfer": {"steps": 3},
    "03 training": {"strategy": "fine-tuned", "per_class": 1, "epochs": 1},
    "06 alignment": {"method": "CORAL", "updates": 20},
    "07 threshold": {"updates": 25},
    "08 federation": {"per_round": 2, "epochs": 1, "rounds": 3},
}


@pytest.fixture(scope="module", params=LABS)
def lab(request):
    made = LABS[request.param]()
    made.name = request.param
    yield made
    assert made.close()
    assert all(widget.comm is None for widget in (made.widget, made.picture, *made.controls.values()))


def moving(lab):
    """The names of all controls that have positions."""
    return [name for name, control in lab.declared.items() if control.shown_by_look and not isinstance(control, Text)]


def positions(control):
    """The first and the last value that a control can take, and one or two in between."""
    if hasattr(control, "_options_full"):
        values = [value for _, value in control._options_full]
        return values[:: max(1, len(values) // 3)]
    if isinstance(control, widgets.Checkbox):
        return [False, True]
    return [control.min, (control.min + control.max) // 2, control.max]


def seen(lab):
    """All that a lab says and shows."""
    notes = [lab.controls[name].value for name, control in lab.declared.items() if isinstance(control, Note)]
    return lab.sentence.value, lab.picture.value, *notes


def test_every_control_changes_what_is_seen(lab):
    for name in moving(lab):
        control = lab.controls[name]
        before, pictures = control.value, set()
        if control.disabled:
            continue
        for value in positions(control):
            setattr(lab, name, value)
            assert "The lab stopped" not in lab.sentence.value
            pictures.add(seen(lab))
        assert len(pictures) > 1, name
        setattr(lab, name, before)


def test_the_sentence_is_text_and_the_pictures_alt_text(lab):
    words = re.fullmatch(r"<p[^>]*>([^<>]{30,})</p>", lab.sentence.value)
    assert words
    assert f'alt="{words[1]}"' in lab.picture.value


def test_every_control_has_a_name_and_a_tip(lab):
    for name, control in lab.declared.items():
        widget = lab.controls[name]
        if not isinstance(control, Note):
            assert widget.description, name
            assert all(len(tip) > 5 for tip in getattr(widget, "tooltips", [widget.tooltip])), name


def test_an_error_is_shown_and_raised(lab, monkeypatch):
    before = seen(lab)
    monkeypatch.setattr(lab, "look", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lab.redraw()
    assert "The lab stopped: division by zero" in lab.sentence.value
    monkeypatch.undo()
    lab.redraw()
    assert seen(lab) == before


def test_every_job_runs_and_stops_and_refuses_a_second(lab):
    for name in [name for name, control in lab.declared.items() if isinstance(control, Job)]:
        with lab.at_once():
            for control, value in QUICK[lab.name].items():
                setattr(lab, control, value)
        getattr(lab, name)()
        assert lab.wait(60), name
        assert lab.bar.value > 0
        assert lab.status.value
        getattr(lab, name)()
        if lab.running:
            getattr(lab, name)()
            assert "Refused" in lab.status.value or not lab.running
        lab.stop.click()
        assert lab.wait(20)
        assert not lab.controls[name].disabled
