"""What a run needs before its first image: all imports, the network, one batch through it."""

from __future__ import annotations

import torch
from setting import open_classifier, parser, report

import graft.workflows.fit  # noqa: F401
from graft.inference import eval_batch


def main() -> None:
    """Run zeros through the classifier."""
    arguments = parser(__doc__)
    arguments.add_argument("--image-size", type=int, required=True)
    options = arguments.parse_args()
    classifier = open_classifier(options, ("a", "b")).eval()
    size = options.image_size
    with torch.inference_mode():
        logits = classifier(torch.zeros(eval_batch(classifier.device), 3, size, size))
    report(logits=list(logits.shape))


if __name__ == "__main__":
    main()
