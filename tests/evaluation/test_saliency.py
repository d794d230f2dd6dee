import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load
from tlcourse.evaluation.saliency import grad_cam, gradient_saliency, hide, occlusion_map
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.models.torchvision_backbones import backbone

ROWS, COLUMNS = slice(8, 16), slice(20, 28)  # the only region that the network below looks at


class LooksAtOneRegion(nn.Module):
    """Class 1 where that region is bright, class 0 where it is dark; nothing else matters."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(4.0))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        bright = self.dropout(x)[:, :, ROWS, COLUMNS].mean((1, 2, 3))
        return torch.stack([-self.gain * bright, self.gain * bright], 1)


@pytest.fixture
def model():
    return LooksAtOneRegion().train()


@pytest.fixture
def images():
    dark = torch.randint(0, 60, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    dark[:, :, ROWS, COLUMNS] = 250
    return dark


ONES = torch.ones(3, dtype=torch.int64)


def inside_and_outside(maps):
    region = torch.zeros(32, 32, dtype=torch.bool)
    region[ROWS, COLUMNS] = True
    return maps[:, region], maps[:, ~region]


def test_gradient_is_found_in_the_region_and_nowhere_else(model, images):
    inside, outside = inside_and_outside(gradient_saliency(model, images, ONES))
    assert (outside == 0).all()
    assert inside == pytest.approx(torch.full_like(inside, 4.0 / (3 * 64)))


def test_gradient_is_that_of_finite_differences():
    torch.manual_seed(0)
    model, data = TinyResNet(10).eval(), load("handwritten-photo", count=1)
    maps = gradient_saliency(model, data.images, data.labels)
    model.double()
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


def test_occlusion_finds_the_region(model, images):
    inside, outside = inside_and_outside(occlusion_map(model, images, ONES))
    assert inside.min() > 0.1
    far = occlusion_map(model, images, ONES)[:, :, :12]  # squares that reach no column from 20 on
    assert far.abs().max() < 1e-6
    assert inside.mean() > 5 * outside.mean()
    assert model.training


def test_occlusion_agrees_with_a_naive_one(model, images):
    ours = occlusion_map(model.eval(), images[:1], ONES[:1], patch=8, stride=8)[0]
    before = model(scale(images[:1])).softmax(1)[0, 1]
    for top in range(0, 32, 8):
        for left in range(0, 32, 8):
            covered = images[:1].clone()
            for colour in range(3):
                covered[0, colour, top : top + 8, left : left + 8] = (
                    images[0, colour].float().mean().round().to(torch.uint8)
                )
            after = model(scale(covered)).softmax(1)[0, 1]
            assert ours[top : top + 8, left : left + 8] == pytest.approx(
                torch.full((8, 8), (before - after).item()), abs=1e-6
            )


def test_grad_cam_is_the_head_applied_at_every_place_where_only_an_average_stands_between():
    torch.manual_seed(0)
    model, data = TinyResNet(10).train(), load("handwritten-photo", count=3)
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


def test_grad_cam_of_an_earlier_stage_by_finite_differences():
    torch.manual_seed(0)
    model, data = TinyResNet(10).eval().double(), load("handwritten-photo", count=1)
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


def test_hiding_takes_the_most_important_first(images):
    importance = torch.zeros(3, 32, 32)
    importance[:, ROWS, COLUMNS] = 1.0
    hidden = hide(images, importance, 64 / 1024)
    assert (hidden != images).any(1).sum() >= 3 * 60  # a pixel that had the mean colour already does not change
    mean = images.float().mean((2, 3)).round().to(torch.uint8)
    assert (hidden[:, :, ROWS, COLUMNS] == mean[:, :, None, None]).all()
    outside = torch.ones(32, 32, dtype=torch.bool)
    outside[ROWS, COLUMNS] = False
    assert torch.equal(hidden[:, :, outside], images[:, :, outside])


def test_what_does_not_fit_is_refused(model, images):
    for function in (gradient_saliency, occlusion_map):
        with pytest.raises(TypeError, match=r"images are torch\.float32, but uint8"):
            function(model, scale(images), ONES)
        with pytest.raises(ValueError, match=r"got images of shape \[3, 3, 32, 32\] and classes \[2\]"):
            function(model, images, ONES[:2])
    for patch, stride in ((33, 1), (4, 5), (4, 0)):
        with pytest.raises(ValueError, match=f"got a square of {patch} pixels moved by {stride}"):
            occlusion_map(model, images, ONES, patch, stride)
    for maps, share in ((torch.zeros(3, 16, 16), 0.5), (torch.zeros(3, 32, 32), 10)):
        with pytest.raises(ValueError, match=rf"a share of {share}. Expected \[N, H, W\] and a share from 0 to 1"):
            hide(images, maps, share)
