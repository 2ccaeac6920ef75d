"""What extraction cannot beat: decoding alone plus the forward pass alone, all cores on each.

The same images through the same loader, and the same engine over the same padded batches, once
they are in memory. Loading and folding the network counts to neither.
"""

from __future__ import annotations

import time

from setting import open_classifier, open_images, parser, report

from graft.cache.activations import FrozenPrefix
from graft.host import keep_freed_memory
from graft.strategies import HEAD


def main() -> None:
    """Measure both."""
    options = parser(__doc__).parse_args()
    keep_freed_memory()
    manifest = open_images(options.data)
    classifier = open_classifier(options, manifest.classes)
    loaders = [classifier.loader(manifest.subset(split)) for split in ("train", "val")]

    started = time.perf_counter()
    for loader in loaders:
        for _ in loader.epoch(0):
            pass
    decoded = time.perf_counter() - started

    batches = [batch.inputs for loader in loaders for batch in loader.epoch(0)]
    prefix = FrozenPrefix(classifier.backbone, HEAD)
    prefix.activations(batches[0])
    started = time.perf_counter()
    for images in batches:
        prefix.activations(images)
    report(decode=decoded, forward=time.perf_counter() - started, batches=len(batches))


if __name__ == "__main__":
    main()
