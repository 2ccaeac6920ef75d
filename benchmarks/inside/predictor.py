"""What a predictor takes for one photograph, 8 and 64, beside decoding and the bare network."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from setting import BACKBONE, open_images, parser, report

import graft

NETWORKS = (BACKBONE, "squeezenet1_1", "resnet18")
ROUNDS = 7


def measured(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each way, done in turns after a turn that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    return {name: sorted(each[1:])[rounds // 2] for name, each in seconds.items()}


def main() -> None:
    """Measure each network in this process."""
    arguments = parser(__doc__)
    options = arguments.parse_args()
    photos = [sample.path for sample in open_images(options.data).readable]
    photos = (photos * (64 // len(photos) + 1))[:64]
    found = {}
    for name in NETWORKS:
        chosen = {"weights": options.weights} if name == BACKBONE else {"pretrained": False}
        backbone = graft.load_backbone(name, image_size=224, **chosen)
        head = graft.LinearHead(backbone.width, 2)
        model = graft.Classifier(backbone, head, ("a", "b"))
        model = model.to(memory_format=torch.channels_last).eval()
        images = next(model.loader(photos[:8]).epoch(0)).inputs

        def eager(
            count: int, model: graft.Classifier = model, images: torch.Tensor = images
        ) -> None:
            with torch.inference_mode():
                for _ in range(max(1, count // 8)):
                    model(images[:count].clone(memory_format=torch.channels_last))

        def decoded(count: int, model: graft.Classifier = model) -> None:
            for _ in model.loader(photos[:count]).epoch(0):
                pass

        with graft.Predictor(model) as predictor:
            ways: dict[str, Callable[[], object]] = {}
            for count in (1, 8, 64):
                ways[f"predictor {count}"] = lambda n=count, p=predictor: p.predict(photos[:n])
                ways[f"eager {count}"] = lambda n=count, run=eager: run(n)
                ways[f"decode {count}"] = lambda n=count, run=decoded: run(n)
            found[name] = measured(ways, ROUNDS)
    report(seconds=found)


if __name__ == "__main__":
    main()
