import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestCentroid
from torch import nn

from tlcourse.transfer.heads import class_mean_head


@pytest.fixture
def examples():
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(3).repeat(5)
    return torch.randn(15, 6, generator=draws) + labels[:, None], labels


@pytest.fixture
def new_points():
    return torch.randn(200, 6, generator=torch.Generator().manual_seed(1)) * 2 + 1


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_class_means_are_the_nearest_mean_classifier(examples, new_points, scale):
    features, labels = examples
    head = class_mean_head(nn.Linear(6, 3), features, labels, scale)
    x, means = new_points.double().numpy(), np.stack([features[labels == c].double().numpy().mean(0) for c in range(3)])
    distances = ((x[:, None] - means) ** 2).sum(2)  # [200, 3]
    assert np.array_equal(head(new_points).argmax(1).numpy(), distances.argmin(1))
    logits = head(new_points).detach().numpy()
    library = NearestCentroid().fit(features.numpy(), labels.numpy()).predict(new_points.numpy())
    assert np.array_equal(logits.argmax(1), library)
    wanted = scale * ((x**2).sum(1, keepdims=True) - distances) / 2
    assert np.allclose(logits, wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("head", "features", "labels", "scale", "message"),
    [
        ((6, 3), 5, 15, 1, r"got features \[15, 5\].*\[N, 6\] and \[N\].*extract_features"),
        ((6, 3), 6, 14, 1, r"labels \[14\]"),
        ((6, 4), 6, 15, 1, r"labels lack \[3\] and have besides \[\]"),
        ((6, 2), 6, 15, 1, r"labels lack \[\] and have besides \[2\]"),
        ((6, 3, False), 6, 15, 1, "no bias"),
        *(((6, 3), 6, 15, scale, "a number above 0 was expected") for scale in (0, -1, float("inf"), float("nan"))),
    ],
)
def test_class_means_refuse_what_does_not_fit(examples, head, features, labels, scale, message):
    with pytest.raises(ValueError, match=message):
        class_mean_head(nn.Linear(*head), examples[0][:, :features], examples[1][:labels], scale)
