"""8 bits by hand beside torchao: what its export path does to convolutions, and what its one-line call leaves alone.

PT2E is the way by which a convolutional network gets faster in 8 bits: `torch.export`, a quantizer for the processor,
images to calibrate with, and `torch.compile`. `quantize_` is for linear layers, of which transformers are made.
"""

import copy
import importlib.util

import pytest
import torch
from torch import nn

from tlcourse.models.compression.quantized import quantize
from tlcourse.repro import generator, seeded

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("torchao") is None, reason="torchao is not installed: extra oracles"),
    pytest.mark.filterwarnings("ignore"),  # of the library itself
]


@pytest.fixture(scope="module")
def model():
    """Two convolutions with batch normalisation, and a head."""
    with seeded("torchao"):
        layers = [nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16)]
        network = nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 64))
        network(torch.randn(64, 3, 16, 16))
    return network.eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(64, 3, 16, 16, generator=generator("torchao images"))


def test_the_export_path_errs_as_little_as_by_hand_and_no_less(model, images):
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(torch.export.export(copy.deepcopy(model), (images,)).module(), quantizer)
    prepared(images)  # calibrates
    theirs, ours = convert_pt2e(prepared)(images), quantize(model, images)(images)
    errors = [(answer - model(images)).norm() / model(images).norm() for answer in (theirs, ours)]
    assert 0 < errors[0] < 0.03
    assert 0 < errors[1] < 0.03
    assert 1 / 3 < errors[0] / errors[1] < 3


def test_the_one_line_call_takes_linear_layers_and_leaves_convolutions(model, images):
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    changed = copy.deepcopy(model)
    quantize_(changed, Int8WeightOnlyConfig())
    assert type(changed[8].weight).__name__ == "Int8Tensor"
    assert type(changed[0].weight) is nn.Parameter
    assert torch.equal(changed[0].weight, model[0].weight)
    torch.testing.assert_close(changed(images), model(images), rtol=0.05, atol=0.05)
