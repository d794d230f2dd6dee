"""Epsilon by another library, opacus 1.6; `pip install '.[oracles]'` brings it."""

import pytest

from tlcourse.federated.differential_privacy import ORDERS, epsilon, renyi_divergence

WHY = "opacus, an oracle that nothing else needs, is not installed: pip install '.[oracles]'"
rdp = pytest.importorskip("opacus.accountants.analysis.rdp", reason=WHY)


@pytest.mark.filterwarnings("ignore:Optimal order is the")  # the first or the last: fine, as ours are the same
@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("noise_multiplier", [0.7, 2.0, 10.0])
def test_epsilon_by_the_same_orders(noise_multiplier, share):
    orders = [int(order) for order in ORDERS]
    theirs = rdp.compute_rdp(q=share, noise_multiplier=noise_multiplier, steps=1, orders=orders)
    ours = renyi_divergence(noise_multiplier, share)
    assert ours.tolist() == pytest.approx(theirs.tolist(), rel=1e-6, abs=1e-12)
    for steps, delta in ((1, 1e-3), (30, 1e-3), (1000, 1e-5)):
        best = rdp.get_privacy_spent(orders=orders, rdp=steps * theirs, delta=delta)[0]
        assert epsilon(noise_multiplier, steps, delta, share) == pytest.approx(max(0, best), rel=1e-6)
