"""Notebook 11: does it hold when the world changes?"""

from tlcourse.evaluation.adversarial import fgsm
from tlcourse.evaluation.calibration import fit_temperature
from tlcourse.evaluation.corruptions import CORRUPTIONS, blur, corrupt
from tlcourse.evaluation.strange import energy
from tlcourse.lessons.nb11_robustness.alpha import ANEW, choices
from tlcourse.lessons.nb11_robustness.attacks import attacked
from tlcourse.lessons.nb11_robustness.conditions import corrupted
from tlcourse.lessons.nb11_robustness.experiment import (
    ADABN,
    ALL,
    ENSEMBLE,
    SOUP,
    STATISTICS,
    TTA,
    VARIED_TTA,
    WISE,
    WISE_STATISTICS,
    above,
    always,
    as_it_is,
    measured,
)
from tlcourse.lessons.nb11_robustness.figures import (
    corruptions_figure,
    kinds_figure,
    line_figure,
    recipes_figure,
    severities_figure,
    stages_figure,
)
from tlcourse.lessons.nb11_robustness.figures_sureness import (
    attacked_images_figure,
    attacks_figure,
    corrupted_figure,
    promise_figure,
    scenes_accuracy_figure,
    scenes_figure,
    strange_examples_figure,
    strange_figure,
    sureness_figure,
)
from tlcourse.lessons.nb11_robustness.lab import RobustnessLab
from tlcourse.lessons.nb11_robustness.learning import (
    LORA,
    LP_FT,
    PLAIN,
    PROBE,
    SCRATCH,
    SOURCE,
    TUNED,
    VARIED,
    learned,
    source_network,
)
from tlcourse.lessons.nb11_robustness.strange_inputs import strange_images
from tlcourse.lessons.nb11_robustness.sureness import popular_temperature, too_sure_logits
from tlcourse.training.weight_space import between, measure_batchnorm
