"""Several networks asked as one: the mean of their probabilities."""

from collections.abc import Sequence

import torch


def ensemble(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the logarithms of the networks' mean probabilities, float64 `[N, classes]`, from logits `[N, classes]`.

    They can be used as logits: their softmax is the mean. Where networks contradict each other, the mean is less sure
    than each of them; the mean of the logits would follow the loudest. ValueError when shapes differ.

    Source: Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive uncertainty estimation using deep
    ensembles", 2017, NeurIPS.
    """
    shapes = [list(each.shape) for each in logits]
    if not shapes or len(shapes[0]) != 2 or any(shape != shapes[0] for shape in shapes):
        raise ValueError(
            f"logits have shapes {shapes}, but [N, classes], the same for at least one network, was expected. Ask all "
            "networks about the same images: ensemble([predict(model, data) for model in models])."
        )
    chances = torch.stack([each.double().log_softmax(1) for each in logits])  # [networks, N, classes]
    return chances.logsumexp(0) - torch.log(torch.tensor(float(len(chances)), dtype=torch.float64))
