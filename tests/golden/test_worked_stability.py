"""The course's examples of overflow: what comes out as written, and after the rewrites that training makes (W040)."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.core.walk import Graph
from backlit.rewrite import stable
from backlit.rewrite.rule import apply

ops, nn = bl.ops, bl.nn


def losses_of_softmax(z):
    by_hand = ops.exp(z) / ops.sum(ops.exp(z), axis=-1, keepdims=True)
    return -ops.log(by_hand)


def test_w040_softmax_as_written_and_stable():
    z = bl.variable([1000.0, 0.0])
    written = losses_of_softmax(z)
    assert np.isnan(written.value[0]) and written.value[1] == np.inf
    (rewritten,) = apply([written], stable.RULES)
    assert rewritten.value.tolist() == [0.0, 1000.0]
    for y, gradient in ((0, [0.0, 0.0]), (1, [1.0, -1.0])):
        assert bl.grad(rewritten[y], z).value.tolist() == gradient
        assert not np.isfinite(bl.grad(written[y], z).value).all()


def test_w040_clipped_probabilities_hide_the_loss():
    z = bl.variable([1000.0, 0.0])
    clipped = -ops.log(ops.clip(nn.softmax(z), 1e-7, 1 - 1e-7))
    assert clipped.value[1] == pytest.approx(16.118, abs=5e-4)
    assert not bl.grad(clipped[1], z).value.any()
    (rewritten,) = apply([clipped], stable.RULES)
    assert rewritten.value[1] == 1000.0


def test_w040_binary_cross_entropy():
    z, y = bl.variable(40.0), 0.0
    written = -y * ops.log(nn.sigmoid(z)) - (1 - y) * ops.log(1 - nn.sigmoid(z))
    assert written.value == np.inf  # E029: the difference is large for a large z
    (rewritten,) = apply([written], stable.RULES)
    assert rewritten.value == 40.0
    assert bl.grad(rewritten, z).value == 1.0


def test_w040_rewriting_a_moderate_loss_changes_nothing():
    z = bl.variable([0.5, -1.5, 2.0])
    written = losses_of_softmax(z)
    (rewritten,) = apply(Graph([], [written]).roots, stable.RULES)
    assert rewritten is not written
    assert rewritten.value == pytest.approx(written.value, rel=1e-14)
