"""scikit-learn on features that eager PyTorch extracts: the usual quick probe.

Batches of 32 by 2 worker processes, torchvision's preprocessing, then `StandardScaler` and
`LogisticRegressionCV` over 20 strengths and 5 folds.
"""

from __future__ import annotations

import time

import torch
from arguments import parser, report
from networks import pretrained
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision.transforms._presets import ImageClassification


def main() -> None:
    """Extract, fit, and report."""
    arguments = parser(__doc__)
    arguments.add_argument("--strengths", type=int, default=20)
    options = arguments.parse_args()
    started = time.perf_counter()
    network = pretrained(options.weights).eval()
    network.classifier = nn.Identity()
    features, labels = {}, {}
    for split in ("train", "val"):
        images = datasets.ImageFolder(options.data / split, ImageClassification(crop_size=224))
        with torch.no_grad():
            made = [
                (network(images), targets)
                for images, targets in DataLoader(images, batch_size=32, num_workers=2)
            ]
        features[split] = torch.cat([rows for rows, _ in made]).numpy()
        labels[split] = torch.cat([targets for _, targets in made]).numpy()
    extracted = time.perf_counter()
    probe = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=options.strengths,
            cv=5,
            l1_ratios=(0.0,),
            scoring="neg_log_loss",
            max_iter=1000,
            use_legacy_attributes=False,
        ),
    ).fit(features["train"], labels["train"])
    accuracy = float((probe.predict(features["val"]) == labels["val"]).mean())
    solved = time.perf_counter()
    report(
        [],
        solved - started,
        best_val_accuracy=accuracy,
        extract_seconds=extracted - started,
        solve_seconds=solved - extracted,
    )


if __name__ == "__main__":
    main()
