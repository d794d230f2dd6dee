"""What an experiment cannot run it refuses before it begins, and says what it was asked for and what there is."""

import pytest

from tlcourse.lessons.nb01_preprocessing.experiment import worth_trial
from tlcourse.lessons.nb02_weight_transfer import strategies
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import heir, heir_trial, two_tasks
from tlcourse.lessons.nb03_fine_tuning.experiment import run_strategies, run_strategy
from tlcourse.lessons.nb04_evaluation.experiment import train_network
from tlcourse.lessons.nb12_your_own_images.classic import run_classic
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.training.starts import starting_model

NO_STRATEGY = r"'luck' is no strategy\. Expected one of: 'random', "


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: starting_model("luck", 0), "'luck' is not a way to start"),
        (lambda: worth_trial("blur", "scratch", 0), r"'blur' is not an augmentation\. Expected one of: 'none', 'crop'"),
        (
            lambda: two_tasks(0, classes=18, images=300, test_images=100),
            r"two tasks of 18 letters each.*Expected from 2 to 17",
        ),
        (lambda: heir(TinyResNet(), 0, 0, frozen=True), "depth is 0, but from 1 to 5 stages.*stem, block1"),
        (lambda: heir(TinyResNet(), 6, 0, frozen=True), "depth is 6, but from 1 to 5 stages.*stem, block1"),
        (lambda: heir_trial("AnB", 1, 0, donors={}, tasks=None), "'AnB' is not a way to carry stages"),
        (lambda: strategies.carry_over("luck", 0), NO_STRATEGY),
        (lambda: strategies.trial("luck", 0), NO_STRATEGY),
        (lambda: run_strategy("early stopping", 1, 0), "early stopping needs at least 2 labels per class, but 1"),
        (lambda: run_strategies(["magic"], [5], [0]), r"there is no strategy 'magic'.*'LP-FT'"),
        (lambda: train_network("cats", 0, None), r"no network 'cats'\. Expected one of: 'scratch', 'letters'"),
        (lambda: run_classic("classic", world="cifar100"), "'cifar100' is not a world"),
        (lambda: run_classic("classic", world="handwritten", count=130, epochs=0), "epochs=0"),
    ],
)
def test_what_cannot_be_run_is_refused(run, message):
    with pytest.raises(ValueError, match=message):
        run()
