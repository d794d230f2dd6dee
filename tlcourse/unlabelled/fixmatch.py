"""FixMatch: an answer that is sure on a weakly augmented view is learned from a strongly augmented one."""

import torch
import torch.nn.functional as F

from tlcourse.unlabelled.mean_teacher import Taught


class FixMatch(Taught):
    """The teacher's class where its probability reaches `threshold`; the network learns it from the strong view.

    In the paper the network answers for itself, and its average over time is what is tested. Here the average answers,
    too, which is steadier in a training of a few hundred updates.

    Source: Sohn et al., "FixMatch: Simplifying semi-supervised learning with consistency and confidence", 2020,
    NeurIPS.
    """

    strong = True

    def __init__(self, threshold: float = 0.9, weight: float = 1.0, decay: float = 0.99) -> None:
        super().__init__(weight, decay)
        if not 0 <= threshold < 1:
            raise ValueError(f"threshold is {threshold}, but a probability from 0 (take all) to below 1 was expected.")
        self.threshold = threshold

    def answer(self, weak: torch.Tensor) -> torch.Tensor:
        """Return the teacher's class with probability 1, or a row of zeros where it is not sure, float32 `[B, C]`."""
        return sure_answers(super().answer(weak), self.threshold)


def sure_answers(chances: torch.Tensor, threshold: float) -> torch.Tensor:
    """Turn probabilities `[B, C]` into one-hot rows where the largest reaches the threshold, else rows of zeros."""
    confidence, answers = chances.max(1)
    return F.one_hot(answers, chances.shape[1]).float() * (confidence >= threshold)[:, None]
