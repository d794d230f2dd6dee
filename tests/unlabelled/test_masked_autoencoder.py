"""Masking: whole patches, the same share of every image, scored where they are hidden and nowhere else."""

import numpy as np
import pytest
import torch

from tests.unlabelled.test_pretext import FEW, images, network
from tests.weights import changed, copies, equal
from tlcourse.data.normalisation import scale
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.repro import generator
from tlcourse.training.recipe import Recipe
from tlcourse.unlabelled.masked_autoencoder import (
    masked_batches,
    masked_error,
    masking_updates,
    patch_mask,
    pixel_decoder,
    pretrain_by_masking,
    reconstruct,
)

SHAPE = torch.Size([50, 3, 32, 32])


@pytest.mark.parametrize("hidden", [0.25, 0.6, 0.75])
def test_a_mask_is_whole_patches_and_the_same_share_of_every_image(hidden):
    mask = patch_mask(SHAPE, hidden, generator("mask"))
    assert mask.shape == (50, 1, 32, 32)
    patches = mask[:, 0].unfold(1, 4, 4).unfold(2, 4, 4).flatten(3)  # [50, 8, 8, 16]
    assert torch.equal(patches.any(3), patches.all(3))
    assert patches.all(3).flatten(1).sum(1).tolist() == [round(64 * hidden)] * 50


def test_every_patch_is_as_likely_hidden_and_every_image_has_its_own():
    mask = patch_mask(torch.Size([4000, 3, 16, 16]), 0.5, generator("mask"))[:, 0, ::4, ::4].float()
    assert (mask.mean(0) - 0.5).abs().max() < 0.04  # five standard errors
    assert not torch.equal(mask[0], mask[1])


def test_the_error_by_numpy_and_of_hidden_pixels_alone():
    draws = generator("drawn")
    drawn, colours = torch.randn(2, 4, 3, 16, 16, generator=draws, dtype=torch.float64)
    mask = patch_mask(colours.shape, 0.5, draws).double()
    wanted = torch.cat([colours, mask], 1)
    hidden = np.broadcast_to(mask.numpy().astype(bool), drawn.shape)
    naive = np.square(drawn.numpy() - colours.numpy())[hidden].mean()
    assert masked_error(drawn, wanted).item() == pytest.approx(naive, abs=1e-9)
    assert masked_error(drawn + 9 * (1 - mask), wanted).item() == pytest.approx(naive), "what was seen does not count"
    assert masked_error(colours, wanted) == 0


def test_batches_are_grey_where_hidden_and_as_they_were_elsewhere():
    batches = list(masked_batches(images(), Recipe(epochs=1, steps=3, batch=5, augment=None), 0.75))
    assert len(batches) == 3
    known = {image.numpy().tobytes() for image in scale(images())}
    for x, wanted in batches:
        colours, hidden = wanted[:, :3], wanted[:, 3:].bool().expand(-1, 3, -1, -1)
        assert hidden.float().mean() == 0.75
        assert (x[hidden] == 0).all()
        assert torch.equal(x[~hidden], colours[~hidden])
        assert {image.numpy().tobytes() for image in colours} <= known
    assert not torch.equal(batches[0][1][:, 3], batches[1][1][:, 3])


def test_the_share_that_is_hidden_can_be_chosen():
    assert not equal(*(pretrain_by_masking(network(), images(), FEW, hidden=share) for share in (0.3, 0.8)))


def test_a_reconstruction_keeps_what_was_seen_and_changes_no_network():
    model, decoder = network(), pixel_decoder(network())
    model.eval()
    before = copies(model) | copies(decoder)
    masked, drawn = reconstruct(model, decoder, images(), 0.6, seed=1)
    assert not changed(model, before)
    assert not changed(decoder, before)
    assert not model.training
    assert masked.dtype == drawn.dtype == torch.uint8
    assert masked.shape == drawn.shape == images().shape
    seen = (masked == images()).all(1)
    assert 0.4 <= seen.float().mean() < 0.42, "and 128 is grey, also where the image is"
    assert torch.equal(drawn.permute(0, 2, 3, 1)[seen], images().permute(0, 2, 3, 1)[seen])
    assert set(masked.permute(0, 2, 3, 1)[~seen].flatten().tolist()) == {128}
    assert not torch.equal(masked, reconstruct(model, decoder, images(), 0.6, seed=2).masked)


def test_what_is_drawn_comes_nearer_to_the_image_by_training():
    model, decoder = network(), pixel_decoder(network())

    def error():
        return (reconstruct(model, decoder, images(48)).drawn.float() - images(48).float()).abs().mean()

    before = error()
    for _ in masking_updates(model, images(48), Recipe(epochs=1, steps=20, batch=16, augment=None), top=decoder):
        pass
    assert error() < 0.7 * before


@pytest.mark.parametrize(
    ("shape", "hidden"), [((2, 3, 30, 32), 0.5), ((2, 3, 32, 30), 0.5), ((2, 3, 32, 32), 0.001), ((2, 3, 32, 32), 1.0)]
)
def test_images_that_are_no_patches_and_shares_that_hide_nothing_or_all_are_refused(shape, hidden):
    with pytest.raises(ValueError, match=r"a share of .* was to be hidden of images of .*multiples of 16"):
        patch_mask(torch.Size(shape), hidden, generator("mask"))
    if hidden != 0.5:
        with pytest.raises(ValueError, match="hides some patches and not all"):
            pretrain_by_masking(network(), images(), FEW, hidden=hidden)


def test_a_network_without_a_map_and_sizes_that_do_not_fit_are_refused():
    with pytest.raises(TypeError, match=r"is a SmallCNN.*Expected a TinyResNet"):
        pretrain_by_masking(SmallCNN(3), images(), FEW)
    with pytest.raises(ValueError, match=r"images of 20x20 pixels.*multiples of 16"):
        pretrain_by_masking(network(), images()[:, :, :20, :20].contiguous(), FEW)
