"""Whole numbers of 8 bits against PyTorch's own quantisation and exact integer arithmetic; whole networks, stored."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import mobilenet_v2

from tests.models.compression.test_pruning import network
from tests.weights import changed, copies
from tlcourse.models.compression.folding import find_pairs, fold_batchnorm
from tlcourse.models.compression.int8 import Int8Layer, affine, quantize_weights, weight_scales
from tlcourse.models.compression.quantized import input_ranges, is_int8, load_int8, quantize, save_int8
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.repro import generator
from tlcourse.storage import StorageError, save_tensors


def normal(*shape, key=0):
    return torch.randn(*shape, generator=generator("int8", key, *shape))


def bytes_of_images(count=20):
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator("int8 images"))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 6.0), (-3.7, 0.2), (2.0, 5.0), (-5.0, -2.0)])
def test_the_range_and_zero_are_stored(low, high):
    kept = affine(low, high)
    ends = torch.tensor([low, high, 0.0])
    assert 0 <= kept.zero_point <= 255
    assert kept.dequantize(kept.quantize(ends))[2] == 0
    torch.testing.assert_close(kept.dequantize(kept.quantize(ends)), ends, rtol=0, atol=kept.scale)


def test_rounding_is_pytorchs():
    x, kept = 3 * normal(1000), affine(-4.0, 5.0)
    theirs = torch.fake_quantize_per_tensor_affine(x, kept.scale, kept.zero_point, 0, 255)
    torch.testing.assert_close(kept.dequantize(kept.quantize(x)), theirs)


def test_an_error_is_at_most_half_a_step_inside_and_more_outside():
    kept = affine(-1.0, 1.0)
    inside = torch.linspace(-1, 1, 1001)
    assert (kept.dequantize(kept.quantize(inside)) - inside).abs().max() <= 0.51 * kept.scale
    assert kept.dequantize(kept.quantize(torch.tensor(3.0))) == pytest.approx(1, abs=kept.scale)


def test_weights_by_channel_are_pytorchs():
    weight = normal(6, 4, 3, 3) * torch.logspace(-3, 0, 6)[:, None, None, None]
    scales = weight_scales(weight)
    nothing = torch.zeros(6, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(weight, scales, nothing, 0, -127, 127)
    steps = quantize_weights(weight, scales)
    torch.testing.assert_close(steps * scales[:, None, None, None], theirs)
    assert quantize_weights(weight, scales).abs().amax((1, 2, 3)).tolist() == [127] * 6
    whole = quantize_weights(weight, weight_scales(weight, per_channel=False))
    assert whole[0].abs().max() <= 1  # a channel of small weights has hardly a step left
    assert weight_scales(torch.zeros(2, 3)).tolist() == [1, 1]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.Conv2d(256, 16, 3, padding=1),
        nn.Conv2d(6, 4, (1, 3), padding=(0, 1), dilation=(1, 2), groups=2),
        nn.Linear(40, 7),
        nn.Linear(5000, 3),
    ],
    ids=str,
)
def test_sums_are_those_of_exact_integer_arithmetic(layer):
    kept = affine(-0.7, 2.0)
    tested = Int8Layer(layer).fill(layer, kept)
    shape = (2, layer.in_channels, 9, 9) if isinstance(layer, nn.Conv2d) else (2, layer.in_features)
    q = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator("q", *shape))
    centred, weight = q.long() - kept.zero_point, tested.weight.long()
    exact = F.conv2d(centred, weight, **tested.options) if tested.of_images else centred @ weight.T
    assert tested.accumulate(q).dtype == torch.int32
    assert torch.equal(tested.accumulate(q).long(), exact)


def test_the_largest_possible_sum_is_exact():
    layer = nn.Linear(3000, 2)
    tested = Int8Layer(layer).fill(layer, affine(0, 1))
    tested.weight.fill_(127)
    sums = tested.accumulate(torch.full((1, 3000), 255, dtype=torch.uint8))
    assert sums.tolist() == [[255 * 127 * 3000] * 2]
    tested.weight[:, 0] = 126  # a number that float32 no longer tells from its neighbours
    assert tested.accumulate(torch.full((1, 3000), 255, dtype=torch.uint8)).tolist() == [[255 * (127 * 3000 - 1)] * 2]


def test_a_layer_answers_nearly_as_before_with_its_bias():
    layer, x = nn.Conv2d(8, 16, 3, padding=1), normal(4, 8, 10, 10).relu()
    tested = Int8Layer(layer).fill(layer, affine(0, x.max().item()))
    difference = tested(x) - layer(x)
    assert difference.abs().max() < 0.03 * layer(x).abs().max()
    assert difference.abs().max() > 0
    bias = tested.bias.double() * tested.input_scale.double() * tested.weight_scale.double()
    np.testing.assert_allclose(bias, layer.bias.detach(), atol=1e-4)


def test_sums_that_may_not_fit_are_refused():
    layer = nn.Linear(70_000, 1)
    with pytest.raises(ValueError, match="adds up 70,000 products of 8 bits, but only 66,3"):
        Int8Layer(layer).fill(layer, affine(0, 1))


@pytest.mark.parametrize("model", [network(), mobilenet_v2().eval()], ids=["tiny_resnet", "mobilenet_v2"])
def test_folding_changes_no_answer_and_no_original(model):
    x, before = normal(4, 3, 32, 32), copies(model)
    folded = fold_batchnorm(model, x)
    assert not changed(model, before)
    torch.testing.assert_close(folded(x), model(x), rtol=1e-3, atol=1e-4)
    norms = [sum(isinstance(layer, nn.BatchNorm2d) for layer in one.modules()) for one in (model, folded)]
    assert norms[0] > 10
    assert norms[1] == 0


def test_folding_is_pytorchs():
    conv, norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(tensor)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    ours = fold_batchnorm(nn.Sequential(conv, norm), normal(2, 3, 8, 8))[0]
    theirs = fuse_conv_bn_eval(conv.eval(), norm.eval())
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def test_a_convolution_that_is_read_twice_cannot_be_folded():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
            nn.init.constant_(self.norm.weight, 3.0)

        def forward(self, x):
            y = self.conv(x)
            return y + self.norm(y)

    assert len(find_pairs(Twice(), normal(1, 3, 8, 8))) == 1
    with pytest.raises(ValueError, match="Twice answers otherwise after batch normalisation was folded"):
        fold_batchnorm(Twice(), normal(2, 3, 8, 8))


def test_ranges_are_what_the_layers_are_given():
    model, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2)), normal(6, 3, 8, 8)
    ranges = input_ranges(model, list(x.split(4)))
    seen = model[0](x).relu()
    assert ranges["0"] == (x.min().item(), x.max().item())
    assert ranges["3"] == pytest.approx((seen.min().item(), seen.max().item()))


def test_a_network_in_8_bits_keeps_its_face_and_nearly_its_answers():
    model, images = network(), bytes_of_images()
    before = copies(model)
    small = quantize(model, images)
    assert not changed(model, before)
    x = images.float() / 127.5 - 1
    error = (small(x) - model(x)).abs().max() / model(x).abs().max()
    assert 0 < error < 0.1
    assert list(small.stages()) == list(model.stages())
    torch.testing.assert_close(small.head(small.forward_features(x)), small(x))
    assert small.head.out_features == 4
    assert not any(parameter.requires_grad for parameter in small.parameters())
    assert torch.equal(quantize(model, x)(x), small(x))  # images as the network takes them
    assert sum(isinstance(layer, Int8Layer) for layer in small.modules()) == 14


def test_other_networks():
    for model in (SmallCNN(5), mobilenet_v2(num_classes=5).eval()):
        x = normal(8, 3, 32, 32)
        for _ in range(3 if isinstance(model, SmallCNN) else 1):
            model.train()(x)
        small = quantize(model.eval(), x)
        with torch.no_grad():
            assert (small(x) - model(x)).abs().max() < 0.2 * model(x).abs().max()


def test_a_channel_has_fewer_errors_with_a_scale_of_its_own():
    model, x = nn.Sequential(nn.Conv2d(3, 4, 3)), normal(5, 3, 8, 8)
    with torch.no_grad():
        model[0].weight[0] *= 100
        errors = [(quantize(model, x, per_channel=each)(x) - model(x)).abs().mean((0, 2, 3)) for each in (True, False)]
    assert errors[0][0] == pytest.approx(errors[1][0])
    assert (10 * errors[0][1:] < errors[1][1:]).all()


def test_stored_it_has_a_quarter_of_the_bytes_and_answers_to_the_bit(tmp_path):
    model, images = network(), bytes_of_images()
    small = quantize(model, images)
    files = save_tensors(tmp_path / "model.safetensors", model.state_dict()), save_int8(tmp_path / "int8", small)
    sizes = [file.stat().st_size for file in files]
    assert 0.24 < sizes[1] / sizes[0] < 0.26
    other = TinyResNet(4)
    before = copies(other)
    again = load_int8(files[1], other)
    assert not changed(other, before)
    assert torch.equal(again(normal(3, 3, 32, 32)), small(normal(3, 3, 32, 32)))
    assert is_int8(again.state_dict())


def test_files_that_do_not_fit_are_told(tmp_path):
    small = quantize(network(), bytes_of_images())
    file = save_int8(tmp_path / "int8", small)
    with pytest.raises(StorageError, match=r"not the tensors of TinyResNet in 8 bits: head.*Expected the same"):
        load_int8(file, TinyResNet(5))
    with pytest.raises(StorageError, match="no tensor is int8"):
        load_int8(save_tensors(tmp_path / "float", TinyResNet(4).state_dict()), TinyResNet(4))
    spoiled = copies(small)
    spoiled["head.input_scale"].fill_(0)
    with pytest.raises(StorageError, match=r"head.input_scale holds numbers that are no finite ones above 0"):
        load_int8(save_tensors(tmp_path / "spoiled", spoiled), TinyResNet(4))
    with pytest.raises(ValueError, match="this TinyResNet is not in 8 bits"):
        save_int8(tmp_path / "no", network())


def test_bad_input_is_told():
    with pytest.raises(ValueError, match=r"images have shape \[0, 3, 32, 32\]"):
        quantize(network(), torch.zeros(0, 3, 32, 32, dtype=torch.uint8))
    with pytest.raises(ValueError, match="the range goes from 1 to nan"):
        affine(1, float("nan"))
    with pytest.raises(ValueError, match="WithoutLayers has no convolution"):
        quantize(WithoutLayers(), torch.zeros(1, 3, 2, 2))


class WithoutLayers(nn.Identity):
    def __init__(self):
        super().__init__()
        self.something = nn.Parameter(torch.zeros(1))
