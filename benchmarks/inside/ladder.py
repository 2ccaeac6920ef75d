"""A linear probe with as much or as little of Graft as the options say, to attribute the gain."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from setting import open_classifier, open_images, parser, report
from torch import Tensor, nn

import graft
from graft.cache.activations import FrozenPrefix
from graft.strategies import HEAD

EAGER_BATCH = 32


def plainly_decoded(samples: list) -> Iterator[Tensor]:
    """Yield batches as anybody's first script makes them: Pillow and torchvision, one thread."""
    from PIL import Image
    from torchvision.transforms._presets import ImageClassification

    view = ImageClassification(crop_size=224)
    for start in range(0, len(samples), EAGER_BATCH):
        yield torch.stack(
            [
                view(Image.open(sample.path).convert("RGB"))
                for sample in samples[start : start + EAGER_BATCH]
            ]
        )


def decoded(how: str, classifier: graft.Classifier, samples: list) -> Iterator[Tensor]:
    """Yield batches of images."""
    if how == "pillow":
        yield from plainly_decoded(samples)
        return
    loader = graft.Loader(
        samples,
        classifier.task,
        classifier.backbone.preprocess,
        batch_size=EAGER_BATCH,
        workers=1 if how == "one-thread" else None,
    )
    for batch in loader.epoch(0):
        yield batch.inputs


@torch.inference_mode()
def extracted(how: str, classifier: graft.Classifier, batches: Iterator[Tensor]) -> Tensor:
    """Return features (N, width)."""
    if how == "folded":
        prefix = FrozenPrefix(classifier.backbone, HEAD)
        return torch.cat([prefix.activations(images) for images in batches])
    body: nn.Module = classifier.body.eval().to(memory_format=torch.contiguous_format)
    return torch.cat([body(images.contiguous()) for images in batches])


def solved(how: str, train: Tensor, labels: Tensor, val: Tensor, classes: int) -> Tensor:
    """Return the classes predicted for the validation features."""
    if how == "graft":
        from graft.probe.solve import solve

        found = solve(train, labels, classes)
        return (val @ found.weight.T + found.bias).argmax(dim=1)
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    search = LogisticRegressionCV(
        Cs=20,
        cv=5,
        l1_ratios=(0.0,),
        scoring="neg_log_loss",
        max_iter=1000,
        use_legacy_attributes=False,
    )
    probe = make_pipeline(StandardScaler(), search).fit(train.numpy(), labels.numpy())
    return torch.from_numpy(probe.predict(val.numpy()))


def main() -> None:
    """Extract, solve, and report."""
    arguments = parser(__doc__)
    arguments.add_argument("--decode", choices=["pillow", "one-thread", "threads"], required=True)
    arguments.add_argument("--engine", choices=["eager", "folded"], required=True)
    arguments.add_argument("--solver", choices=["sklearn", "graft"], required=True)
    options = arguments.parse_args()
    manifest = open_images(options.data)
    classifier = open_classifier(options, manifest.classes)
    started = time.perf_counter()
    features, labels = {}, {}
    for split in ("train", "val"):
        samples = list(manifest.subset(split))
        labels[split] = torch.tensor([manifest.classes.index(each.label) for each in samples])
        batches = decoded(options.decode, classifier, samples)
        features[split] = extracted(options.engine, classifier, batches)
    extraction = time.perf_counter() - started
    found = solved(
        options.solver, features["train"], labels["train"], features["val"], len(manifest.classes)
    )
    report(
        extract=extraction,
        solve=time.perf_counter() - started - extraction,
        val_accuracy=float((found == labels["val"]).double().mean()),
    )


if __name__ == "__main__":
    main()
