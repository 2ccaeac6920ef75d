"""Several strategies on one data set, one after the other, with one cache."""

from __future__ import annotations

import time

from setting import BACKBONE, epochs_of, parser, report

import graft


def main() -> None:
    """Fit each, and report."""
    arguments = parser(__doc__)
    arguments.add_argument("--strategies", required=True, help="such as probe,full")
    arguments.add_argument("--epochs", type=int, default=None, help="instead of their defaults")
    options = arguments.parse_args()
    seconds, steps, accuracy = {}, {}, {}
    for strategy in options.strategies.split(","):
        started = time.perf_counter()
        fitted = graft.fit(
            options.data,
            backbone=BACKBONE,
            weights=str(options.weights),
            strategy=strategy,
            epochs=None if strategy == "probe" else options.epochs,
            out=options.scratch / strategy,
        )
        seconds[strategy] = time.perf_counter() - started
        steps[strategy] = sum(epoch["seconds"] for epoch in epochs_of(fitted.run))
        accuracy[strategy] = fitted.result["val_accuracy"]
    report(strategies=seconds, steps=steps, val_accuracy=accuracy)


if __name__ == "__main__":
    main()
