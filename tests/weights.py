"""What tests ask of the numbers in a network: which of them changed, and whether two networks agree to the bit."""

import torch


def copies(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(model, before):
    """The names of all numbers that are not what they were."""
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


def equal(a, b):
    return not changed(a, b.state_dict())


def of_stages(model, stages):
    """The names of all numbers of these stages."""
    return {name for name in model.state_dict() if name.split(".")[0] in stages}
