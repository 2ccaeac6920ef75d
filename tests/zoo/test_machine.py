"""What a machine can do is measured."""

from __future__ import annotations

import torch

from graft.zoo import machine


def test_the_speed_is_one_that_a_machine_can_have():
    assert 1e8 < machine.measure_speed(torch.device("cpu")) < 1e14
