"""Every pretraining is the plain loop on images alone: it learns its task, and leaves a backbone and nothing else."""

import inspect

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import TensorDataset

from tests.weights import changed, copies, equal, of_stages
from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.data.augmentations import Augment
from tlcourse.data.imageset import ImageSet
from tlcourse.models.variants import TinyResNetVariant
from tlcourse.repro import generator, seeded
from tlcourse.training.recipe import Recipe, adamw
from tlcourse.transfer.freezing import freeze
from tlcourse.unlabelled.masked_autoencoder import (
    masked_batches,
    masking_updates,
    pixel_decoder,
    pretrain_by_masking,
)
from tlcourse.unlabelled.rotation import pretrain_by_rotation, rotation_batches, rotation_head, rotation_updates
from tlcourse.unlabelled.simclr import pretrain_by_simclr, projection_head, simclr_updates, two_views

FEW = Recipe(epochs=1, steps=3, batch=8, augment=Augment())
METHODS = {
    "rotation": (pretrain_by_rotation, rotation_updates, rotation_batches, rotation_head),
    "SimCLR": (pretrain_by_simclr, simclr_updates, two_views, projection_head),
    "masking": (pretrain_by_masking, masking_updates, masked_batches, pixel_decoder),
}
STAGES = ("stem", "block1", "block2", "block3", "block4")
everyone = pytest.mark.parametrize(("pretrain", "steps", "batches", "top"), METHODS.values(), ids=METHODS)


def network(seed=0):
    with seeded("self-supervised", seed):
        return TinyResNetVariant(3, width=0.25)


def images(count=24, seed=0):
    """Dark above and bright below, so that one knows up from down, in a colour and with a stripe of its own each."""
    draws = generator("striped", seed)
    drawn = torch.arange(32)[:, None] * 3 + 99 * torch.rand(count, 3, 1, 1, generator=draws).expand(-1, -1, 32, 32)
    for number, place in enumerate(torch.randint(28, (count,), generator=draws).tolist()):
        drawn[number, number % 3, :, place : place + 4] += 60
    return drawn.to(torch.uint8)


@everyone
def test_it_lowers_its_loss_on_what_it_has_not_seen(pretrain, steps, batches, top):
    model, head = network(), top(network())
    recipe = Recipe(epochs=1, steps=15, batch=16, augment=Augment())
    losses = [loss.item() for loss in steps(model, images(96), recipe, top=head)]
    assert len(losses) == recipe.updates
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])


@everyone
def test_the_backbone_is_trained_and_the_head_of_the_network_is_not(pretrain, steps, batches, top):
    model = network()
    before = copies(model)
    assert pretrain(model, images(), FEW) is model
    assert changed(model, before) == of_stages(model, STAGES)
    assert model.state_dict().keys() == before.keys(), "what stood on it is gone"
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


@everyone
def test_a_frozen_stage_stays(pretrain, steps, batches, top):
    model = network()
    freeze(model, 2)
    before = copies(model)
    pretrain(model, images(), FEW)
    weights = {name for name, _ in model.named_parameters()}
    assert changed(model, before) & weights == of_stages(model, STAGES[2:]) & weights


@everyone
def test_updates_do_the_same_and_let_a_caller_look_in_between(pretrain, steps, batches, top):
    one, other = network(), network()
    pretrain(one, images(), FEW, seed=1)
    seen = [copies(other) for _ in steps(other, images(), FEW, seed=1)]
    assert equal(one, other)
    assert not torch.equal(seen[0]["stem.0.weight"], seen[1]["stem.0.weight"])


@everyone
def test_the_same_seed_gives_the_same_bits_and_another_does_not(pretrain, steps, batches, top):
    one, again, other = (pretrain(network(), images(), FEW, seed=seed) for seed in (1, 1, 2))
    assert equal(one, again)
    assert not equal(one, other)
    first, same, second = (next(iter(batches(images(), FEW, seed=seed)))[0] for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, second)


@everyone
def test_a_top_that_is_given_is_trained_and_kept_by_the_caller(pretrain, steps, batches, top):
    head, model = top(network()), network()
    before = copies(head)
    list(steps(model, images(), FEW, top=head))
    assert changed(head, before) == set(before)
    assert equal(model, pretrain(network(), images(), FEW)), "the one that is made unless given is the same"
    assert not equal(top(network(), seed=0), top(network(), seed=1))


@everyone
def test_the_end_is_the_statistics_of_the_images_as_they_are(pretrain, steps, batches, top):
    model = pretrain(network(), images(), FEW)
    before = copies(model)
    adapt_batchnorm(model, images())
    assert not changed(model, before)


def test_it_is_the_plain_loop():
    ours, theirs = network(), network()
    losses = [loss.item() for loss in rotation_updates(ours, images(), FEW)]
    head = rotation_head(theirs)
    optimizer, schedule = adamw(torch.nn.ModuleList([theirs, head]), FEW.lr, FEW.updates)
    for (x, y), expected in zip(rotation_batches(images(), FEW), losses, strict=True):
        loss = F.cross_entropy(head(theirs.forward_features(x)), y)
        assert loss.item() == pytest.approx(expected, rel=1e-4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


# ---- no label, by any way in


@everyone
def test_labels_are_refused_wherever_images_are_taken(pretrain, steps, batches, top):
    labels = torch.arange(24) % 3
    labelled = ImageSet(images(), labels, ("a", "b", "c"))
    for given, said in (
        (labelled, "which carries labels, but images alone were expected"),
        ((images(), labels), "is a tuple, but images alone were expected"),
        (TensorDataset(images(), labels), "is a TensorDataset, but images alone"),
        (labels, "images are torch.int64, but uint8"),
        (images() / 255, r"images are torch.float32.*to\(torch.uint8\)"),
    ):
        for take in (lambda x: pretrain(network(), x, FEW), lambda x: next(iter(batches(x, FEW)))):
            with pytest.raises(TypeError, match=said):
                take(given)
    with pytest.raises(ValueError, match=r"1 images\. Expected at least 2"):
        pretrain(network(), images()[:1], FEW)


@everyone
def test_signatures_are_alike_so_that_a_table_can_loop_over_the_methods(pretrain, steps, batches, top):
    for function, names in ((pretrain, ["seed", "progress"]), (steps, ["top", "seed"])):
        parameters = inspect.signature(function).parameters
        assert list(parameters)[:3] == ["model", "images", "recipe"]
        assert list(parameters)[-2:] == names
        assert parameters["images"].annotation is torch.Tensor
        assert all(p.default is not p.empty for name, p in parameters.items() if name not in ("model", "images"))
        assert not [name for name in parameters if "label" in name]


@everyone
def test_the_recipe_unless_another_is_given(pretrain, steps, batches, top):
    recipes = [inspect.signature(function).parameters["recipe"].default for function in (pretrain, steps)]
    assert recipes[0] is recipes[1]
    x, _ = next(iter(batches(images(), recipes[0])))
    assert x.shape[1:] == (3, 32, 32)
    assert len(x) % recipes[0].batch == 0
    assert torch.isfinite(x).all()


@everyone
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_training_that_breaks_says_so(pretrain, steps, batches, top):
    wild = Recipe(epochs=1, steps=6, batch=8, lr=1e30)
    with pytest.raises(ArithmeticError, match=r"the loss became nan.*ten times smaller"):
        pretrain(network(), images(), wild)
