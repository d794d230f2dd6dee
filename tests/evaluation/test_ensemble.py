import numpy as np
import pytest
import torch

from tlcourse.evaluation.ensemble import ensemble

DRAWS = torch.Generator().manual_seed(0)
LOGITS = [3 * torch.randn(40, 4, generator=DRAWS) for _ in range(3)]


def test_its_softmax_is_the_mean_of_the_probabilities():
    chances = []
    for logits in LOGITS:
        raw = np.exp(logits.numpy().astype(float))
        chances.append(raw / raw.sum(1, keepdims=True))
    assert ensemble(LOGITS).softmax(1).numpy() == pytest.approx(np.mean(chances, axis=0))
    assert ensemble(LOGITS).exp().sum(1).numpy() == pytest.approx(1)  # they are logarithms of probabilities already


def test_one_network_and_copies_of_it_stay_what_they_were():
    alone = LOGITS[0].double().softmax(1)
    torch.testing.assert_close(ensemble(LOGITS[:1]).softmax(1), alone)
    torch.testing.assert_close(ensemble(LOGITS[:1] * 4).softmax(1), alone)


def test_contradiction_makes_unsure_and_agreement_does_not():
    one, other = torch.tensor([[200.0, 0.0]]), torch.tensor([[0.0, 100.0]])
    torch.testing.assert_close(ensemble([one, other]).softmax(1), torch.tensor([[0.5, 0.5]]).double())
    assert ensemble([one, one]).softmax(1)[0, 0] == pytest.approx(1)


def test_networks_that_were_asked_different_things_are_refused():
    with pytest.raises(ValueError, match=r"shapes \[\[40, 4\], \[39, 4\]\].*Ask all networks about the same images"):
        ensemble([LOGITS[0], LOGITS[1][1:]])
    with pytest.raises(ValueError, match="at least one network"):
        ensemble([])
