"""CDAN: the discriminator of DANN sees features and answers together, so that classes are aligned with themselves."""

import torch
from torch import nn

from tlcourse.adaptation.adapt import Answers
from tlcourse.adaptation.dann import DANN
from tlcourse.transfer.heads import get_classifier


class CDAN(DANN):
    """As DANN, with a discriminator that sees every product of a feature and a class's probability.

    The probabilities are taken as given: no gradient goes through them. Source: Long et al., "Conditional adversarial
    domain adaptation", 2018, NeurIPS.
    """

    def inputs(self, model: nn.Module) -> int:
        """Return how many numbers of an image the discriminator sees."""
        return model.num_features * get_classifier(model).out_features

    def seen(self, answers: Answers) -> torch.Tensor:
        """Return what the discriminator sees of source and target, `[2, B, classes * num_features]`."""
        chances = answers.logits[:2].detach().softmax(2)
        return (chances[:, :, :, None] * answers.features[:2, :, None, :]).flatten(2)
