import pytest
import torch

from tests.weights import changed, copies
from tlcourse.models.cost import multiply_adds
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import NarrowResNet, TinyResNet
from tlcourse.repro import seeded
from tlcourse.transfer.freezing import count_parameters
from tlcourse.transfer.heads import get_classifier, reset_classifier

NETWORKS = [SmallCNN, TinyResNet, NarrowResNet]


@pytest.mark.parametrize("network", NETWORKS)
def test_surface(network):
    model, x, order = network(7).eval(), torch.randn(4, 3, 32, 32), []
    for name, stage in model.stages().items():
        stage.register_forward_hook(lambda *_, name=name: order.append(name))
    features = model.forward_features(x)
    assert order == list(model.stages())
    assert features.shape == (4, model.num_features)
    assert torch.equal(model(x), get_classifier(model)(features))
    assert model(x).shape == (4, 7)
    parts = [*model.stages().values(), get_classifier(model)]
    inside = [id(parameter) for part in parts for parameter in part.parameters()]
    assert sorted(inside) == sorted(id(parameter) for parameter in model.parameters())


def test_tiny_resnet_is_as_small_as_it_says():
    model = TinyResNet(10).eval()
    assert multiply_adds(model) == pytest.approx(4.1e6, rel=0.02)
    assert count_parameters(list(model.parameters())) == pytest.approx(309_000, rel=0.005)
    assert "309,000 weights and 4.1 million multiply-adds" in TinyResNet.__doc__


def test_tiny_resnet_takes_other_sizes_small_cnn_does_not():
    assert TinyResNet(5)(torch.randn(2, 3, 64, 48)).shape == (2, 5)
    with pytest.raises(ValueError, match=r"SmallCNN got images of shape \[2, 3, 64, 48\], but \[B, 3, 32, 32\]"):
        SmallCNN(5)(torch.randn(2, 3, 64, 48))


@pytest.mark.parametrize("network", NETWORKS)
def test_bytes_and_wrong_shapes_are_refused(network):
    with pytest.raises(TypeError, match=r"got torch.uint8 images.*Use scale\(images\)"):
        network()(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    for shape in [(3, 32, 32), (2, 1, 32, 32), (2, 32, 32, 3)]:
        with pytest.raises(ValueError, match="Put the channels first"):
            network()(torch.zeros(shape))


@pytest.mark.parametrize("network", NETWORKS)
def test_replacing_the_head_changes_the_head_alone(network):
    model = network(35)
    before = copies(model)
    head = reset_classifier(model, 10)
    assert get_classifier(model) is head
    assert head.out_features == 10
    assert changed(model, before) == {f"{model.head_name}.weight", f"{model.head_name}.bias"}
    with pytest.raises(ValueError, match="at least 2"):
        reset_classifier(model, 1)
    with seeded(1):
        first = reset_classifier(model, 10).weight.clone()
    with seeded(1):
        assert torch.equal(reset_classifier(model, 10).weight, first)
