"""How sure are answers, and how many classes occur among them? Entropies, which can be looked at and learned from."""

import torch


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """Return the entropy of every answer in nats, `[B]` for logits `[B, classes]`: 0, sure, to log(classes), undecided.

    That is `-sum p log p`, in which a chance of 0 adds 0. It is computed from the logarithms of the chances, so that
    the gradient, too, is finite where a chance rounds to 0. A logit of minus infinity rules a class out.
    """
    log_chances = logits.log_softmax(-1)
    finite = log_chances.clamp(min=torch.finfo(logits.dtype).min)  # 0 times minus infinity is not a number
    return -(log_chances.exp() * finite).sum(-1)


def information_loss(logits: torch.Tensor) -> torch.Tensor:
    """Return the mean entropy of the answers less the entropy of the mean answer, in nats: -log(classes) to 0.

    Who lowers it makes each answer sure, and keeps all classes in use: the information that images and answers share is
    what it falls below 0. Entropy alone is lowest, too, where all images become one class. Logits are `[B, classes]`.

    Sources: Gomes et al., "Discriminative clustering by regularized information maximization", 2010, NeurIPS; Shi and
    Sha, "Information-theoretical learning of discriminative clusters for unsupervised domain adaptation", 2012, ICML.
    """
    return entropy(logits).mean() - _entropy_of_the_mean(logits)


def answered_classes(logits: torch.Tensor) -> float:
    """Return how many classes are answered, 1 to `classes`: as many as, equally often, had the mean answer's entropy.

    No label is needed to see it fall below what it was before, on the same images, which is the sign that answers
    collapse onto few classes. Look at images of all classes: a batch of one class rightly has one. Where answers are
    undecided it is high, so look at `entropy` beside it. Logits are `[N, classes]`.

    Source: Hill, "Diversity and evenness: A unifying notation and its consequences", 1973, Ecology.
    """
    return _entropy_of_the_mean(logits.double()).exp().item()


def _entropy_of_the_mean(logits: torch.Tensor) -> torch.Tensor:
    if logits.ndim != 2 or not len(logits):
        raise ValueError(f"logits have shape {list(logits.shape)}. Expected [N, classes] with N at least 1.")
    mean_answer = logits.log_softmax(1).logsumexp(0)  # its logarithm plus log N, which a softmax takes out again
    return entropy(mean_answer)
