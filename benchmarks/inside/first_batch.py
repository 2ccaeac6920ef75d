"""From nothing to the features of the first batch."""

from __future__ import annotations

import time

from setting import open_classifier, parser, report

import graft
from graft.inference import forward


def main() -> None:
    """Decode and run one batch."""
    options = parser(__doc__).parse_args()
    manifest = graft.assign_splits(graft.scan(options.data, check=False))
    classifier = open_classifier(options, manifest.classes)
    loader = classifier.loader(manifest.subset("train"))
    _, features = next(forward(classifier.body, loader.epoch(0)))
    report(images=len(features), at=time.time())


if __name__ == "__main__":
    main()
