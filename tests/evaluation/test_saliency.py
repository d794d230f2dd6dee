import itertools

import pytest
import torch
import torch.nn.functional as F

from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load
from tlcourse.evaluation.saliency import grad_cam, gradient_saliency, hide, occlusion_map
from tlcourse.models.pretrained import pretrained
from tlcourse.models.torchvision_backbones import backbone

ROWS, COLUMNS = slice(8, 16), slice(20, 28)


@pytest.fixture(scope="module")
def data():
    return load("handwritten-photo", count=3)


@pytest.fixture
def model():
    return pretrained("tiny_resnet", "digits").train()


def test_gradient_is_that_of_finite_differences(model, data):
    maps = gradient_saliency(model, data.images, data.labels)
    assert model.training
    model.eval().double()
    x, step = scale(data.images).double(), 1e-6
    for row, column in ((5, 7), (16, 16)):
        slopes = []
        for colour in range(3):
            moved = [x.clone() for _ in range(2)]
            moved[0][0, colour, row, column] += step
            moved[1][0, colour, row, column] -= step
            with torch.inference_mode():
                up, down = (model(m)[0, data.labels[0]].item() for m in moved)
            slopes.append(abs(up - down) / (2 * step))
        assert maps[0, row, column].item() == pytest.approx(max(slopes), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(("patch", "stride"), [(8, 8), (12, 8)])
def test_occlusion_agrees_with_a_naive_one(model, data, patch, stride):
    """Each pixel gets the mean loss over the squares that cover it; the last squares touch the border."""
    ours = occlusion_map(model, data.images, data.labels, patch, stride)[0]
    assert model.training
    image, label, places = data.images[:1], data.labels[0], sorted({*range(0, 32 - patch, stride), 32 - patch})
    lost, covers = torch.zeros(2, 32, 32)
    model.eval()
    for top, left in itertools.product(places, places):
        square, covered = (slice(top, top + patch), slice(left, left + patch)), image.clone()
        covered[:, :, *square] = image.float().mean((2, 3)).round().to(torch.uint8)[:, :, None, None]
        with torch.inference_mode():
            before, after = (model(scale(x)).softmax(1)[0, label] for x in (image, covered))
        lost[square] += before - after
        covers[square] += 1
    assert torch.allclose(ours, lost / covers, atol=1e-5)
    assert ours.abs().max() > 1e-3, "a map of zeros would prove nothing"


def test_grad_cam_is_the_head_applied_at_every_place_where_only_an_average_stands_between(model, data):
    found = grad_cam(model, data.images, data.labels, "block4")
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    model.eval()
    with torch.inference_mode():
        x = scale(data.images)
        for part in model.stages().values():
            x = part(x)  # in the end [3, 128, 2, 2]
        for image, label, mine in zip(x, data.labels, found, strict=True):
            places = torch.zeros(2, 2)
            for row in range(2):
                for column in range(2):
                    places[row, column] = max(0, model.head.weight[label] @ image[:, row, column] / 4)
            large = F.interpolate(places[None, None], (32, 32), mode="bilinear")[0, 0]
            assert torch.allclose(mine, large, atol=1e-5)


def test_grad_cam_of_an_earlier_stage_by_finite_differences(model, data):
    model, data = model.eval().double(), data.subset(torch.tensor([0]))
    for p in model.parameters():
        p.requires_grad_(False)  # a frozen network has a map, too
    x, label, step = scale(data.images).double(), int(data.labels[0]), 1e-5
    with torch.inference_mode():
        maps = model.block3(model.block2(model.block1(model.stem(x))))  # [1, 64, 4, 4]

        def logit(maps):
            return model.head(model.block4(maps).mean((2, 3)))[0, label]

        expected = torch.zeros(4, 4, dtype=torch.float64)
        for k in range(64):
            moved = torch.zeros_like(maps)
            moved[0, k] = step / 16  # all places together: 16 times the mean gradient, times a sixteenth of the step
            expected += maps[0, k] * (logit(maps + moved) - logit(maps - moved)) / (2 * step)
    large = F.interpolate(expected.relu()[None, None], (32, 32), mode="bilinear")[0]
    for stage in ("block3", None):  # the last one with maps of 4 x 4
        assert torch.allclose(grad_cam(model, x, data.labels, stage).double(), large, atol=1e-5)


def test_grad_cam_takes_networks_of_torchvision_and_prepared_photographs():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = backbone("mobilenet_v3_small", 4, None), torch.randn(2, 3, 128, 128)  # its last stage has no maps
    maps = grad_cam(model, x, torch.tensor([1, 3]))
    assert maps.shape == (2, 128, 128)
    assert maps.min() >= 0
    assert not any(module._forward_hooks for module in model.modules())
    with pytest.raises(ValueError, match=r"'block9' is not a stage. Expected one of: 'stage1'"):
        grad_cam(model, x, torch.tensor([1, 3]), "block9")


def test_hiding_takes_the_most_important_first(data):
    images, importance = data.images, torch.zeros(3, 32, 32)
    importance[:, ROWS, COLUMNS] = 1.0
    hidden = hide(images, importance, 64 / 1024)
    mean = images.float().mean((2, 3)).round().to(torch.uint8)
    assert (hidden[:, :, ROWS, COLUMNS] == mean[:, :, None, None]).all()
    outside = torch.ones(32, 32, dtype=torch.bool)
    outside[ROWS, COLUMNS] = False
    assert torch.equal(hidden[:, :, outside], images[:, :, outside])


def test_what_does_not_fit_is_refused(model, data):
    images, labels = data.images, data.labels
    for function in (gradient_saliency, occlusion_map):
        with pytest.raises(TypeError, match=r"images are torch\.float32, but uint8"):
            function(model, scale(images), labels)
        with pytest.raises(ValueError, match=r"got images of shape \[3, 3, 32, 32\] and classes \[2\]"):
            function(model, images, labels[:2])
    for patch, stride in ((33, 1), (4, 5), (4, 0)):
        with pytest.raises(ValueError, match=f"got a square of {patch} pixels moved by {stride}"):
            occlusion_map(model, images, labels, patch, stride)
    for maps, share in ((torch.zeros(3, 16, 16), 0.5), (torch.zeros(3, 32, 32), 10)):
        with pytest.raises(ValueError, match=rf"a share of {share}. Expected \[N, H, W\] and a share from 0 to 1"):
            hide(images, maps, share)
