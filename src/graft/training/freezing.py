"""Freezing: who trains is a function of the plan's phase, set afresh at every phase.

A frozen stage has no gradients *and* is in eval mode, so BatchNorm statistics stand still and
drop-out and stochastic depth are off. The audit proves it: after a phase every frozen stage hashes
as it did before, parameters and buffers alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from graft.errors import GraftError
from graft.model import Model
from graft.strategies import HEAD, Phase, Plan


def apply_phase(classifier: Model, plan: Plan, phase: Phase) -> None:
    """Let exactly the phase's stages learn: gradients, train mode, BatchNorm policy.

    Args:
        classifier: Changed in place.
        plan: Gives the stages and the BatchNorm policy.
        phase: Gives what trains.
    """
    classifier.eval()
    if not plan.frozen(phase):
        # With nothing frozen, drop-out between the stages is part of the network as well.
        classifier.train()
    for stage in classifier.backbone.stages:
        trains = phase.trains(stage.name)
        for name in stage.parameters:
            classifier.body.get_parameter(name).requires_grad_(trains)
        for path in stage.modules:
            classifier.body.get_submodule(path).train(trains)
    classifier.head.requires_grad_(phase.trains(HEAD)).train(phase.trains(HEAD))
    if plan.batch_norm == "eval":
        for module in classifier.body.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def fingerprints(classifier: Model, stages: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each stage's parameters and buffers, bit for bit."""
    return {name: _fingerprint(classifier, name) for name in stages}


def audit(classifier: Model, before: dict[str, str], phase: str) -> dict[str, object]:
    """Check that the stages fingerprinted before a phase have not changed in it.

    Returns:
        `{"phase", "frozen": names, "unchanged": True}`, for `run.json`.

    Raises:
        GraftError: A frozen stage changed. That is a defect of Graft or of an objective.
    """
    drifted = [name for name, digest in before.items() if _fingerprint(classifier, name) != digest]
    if drifted:
        raise GraftError(
            f"Freeze audit failed: {', '.join(drifted)} changed in the phase '{phase}' although "
            "frozen.",
            "An objective or a hook writes to the model; the result cannot be trusted.",
        )
    return {
        "phase": phase,
        "frozen": [stage.name for stage in classifier.backbone.stages if stage.name in before],
        "unchanged": True,
    }


@torch.no_grad()
def _fingerprint(classifier: Model, stage: str) -> str:
    entry = classifier.backbone.stage(stage)
    digest = hashlib.sha256()
    for name in (*entry.parameters, *entry.buffers):
        tensor = _tensor(classifier.body, name).detach().contiguous().cpu().reshape(-1)
        digest.update(name.encode())
        digest.update(tensor.view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()


def _tensor(module: nn.Module, name: str) -> torch.Tensor:
    path, _, leaf = name.rpartition(".")
    tensor = getattr(module.get_submodule(path), leaf)
    assert isinstance(tensor, torch.Tensor)
    return tensor
