"""An epoch of `partial` on cached rows, and the stages above the cut on tensors in memory.

The second is a bare loop over batches that are already there: no cache, no shuffling, no records,
no check of gradients.
"""

from __future__ import annotations

import time
from argparse import Namespace

import torch
from setting import BACKBONE, epochs_of, open_classifier, open_images, parser, report

import graft
from graft.backbones.cut import Cut
from graft.config import TrainingOptions
from graft.host import keep_freed_memory
from graft.training import build_optimizer, learning_rate
from graft.training.freezing import apply_phase
from graft.training.optimizers import set_rates


def suffix_alone(options: Namespace, stage: str, epochs: int) -> list[float]:
    """Return the seconds of each epoch of the bare loop, after a batch to warm up."""
    keep_freed_memory()
    manifest = open_images(options.data)
    classifier = open_classifier(options, manifest.classes)
    recipe = TrainingOptions()
    plan = graft.make_plan(
        "partial",
        [each.name for each in classifier.backbone.stages],
        options=graft.StrategyOptions(unfreeze_from=stage, head_start="random"),
    )
    apply_phase(classifier, plan, plan.phases[0])
    cut = Cut(classifier.backbone, stage)
    loader = graft.Loader(
        manifest.subset("train"),
        classifier.task,
        classifier.backbone.preprocess,
        batch_size=recipe.batch_size,
        shuffle=True,
    )
    batches = [(cut.prefix(batch.inputs), batch.targets) for batch in loader.epoch(1)]
    optimizer = build_optimizer(classifier, recipe)
    set_rates(optimizer, plan.phases[0], learning_rate(recipe, "partial"))
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)

    def step(crossing: tuple[torch.Tensor, ...], labels: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        # Copies, because the stages above may begin with an operation in place.
        features = cut.suffix([tensor.clone() for tensor in crossing])
        criterion(classifier.head(features), labels).backward()
        optimizer.step()

    step(*batches[0])
    seconds = []
    for _ in range(epochs):
        started = time.perf_counter()
        for batch in batches:
            step(*batch)
        seconds.append(time.perf_counter() - started)
    return seconds


def main() -> None:
    """Measure both in one process."""
    arguments = parser(__doc__)
    arguments.add_argument("--stage", required=True, help="the first stage that trains")
    arguments.add_argument("--epochs", type=int, default=4)
    options = arguments.parse_args()
    graft.fit(
        options.data,
        backbone=BACKBONE,
        weights=str(options.weights),
        strategy="partial",
        unfreeze_from=options.stage,
        epochs=options.epochs,
        out=options.scratch,
    )
    report(
        cached=[line["seconds"] for line in epochs_of(options.scratch)],
        limit=suffix_alone(options, options.stage, options.epochs),
    )


if __name__ == "__main__":
    main()
