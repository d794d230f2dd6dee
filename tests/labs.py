"""What several tests of labs look at: networks whose answers are known, so that nothing has to be trained."""

from functools import cache

import torch
import torch.nn.functional as F

from tlcourse.lessons.nb04_evaluation.experiment import train_validation_test
from tlcourse.models.pretrained import pretrained
from tlcourse.photos.classifier import Classifier
from tlcourse.photos.model_card import ModelCard
from tlcourse.photos.networks import COURSE_PREPROCESSING


@cache
def validation_logits():
    """Logits of two networks that know something, and the images that they were asked about."""
    validation, draws = train_validation_test()[1], torch.Generator().manual_seed(0)
    told, noise = F.one_hot(validation.labels, 10), torch.randn(2, len(validation), 10, generator=draws)
    return {"scratch": 3 * (noise[0] + told), "letters": 2 * (noise[1] + 2 * told)}, validation


@cache
def hits():
    """Which of 300 images each of three networks reads, with each of 20 seeds."""
    draws, shares = torch.Generator().manual_seed(1), {"letters": 0.8, "digits": 0.9, "scratch": 0.5}
    return {name: torch.rand(20, 300, generator=draws) < share for name, share in shares.items()}


@cache
def classifier():
    card = ModelCard("tiny_resnet", tuple("0123456789"), COURSE_PREPROCESSING, temperature=1.234)
    return Classifier(pretrained("tiny_resnet", "digits"), card)
