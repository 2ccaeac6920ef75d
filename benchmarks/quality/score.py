"""An accuracy with what is needed to judge it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from graft.evaluation.intervals import wilson_interval


@dataclass(frozen=True)
class Score:
    """What one method reached on the test images of one task.

    Args:
        task: Name of the images and their split, such as "digits".
        method: Such as "HOG, logistic regression".
        accuracies: Shares of test images that were right, one for each seed.
        images: Number of test images.
        seconds: Wall time of all seeds.

    Example:
        >>> score = Score("digits", "pixels", (0.95, 0.97), 600, 1.0)
        >>> score.accuracy, str(score)
        (0.96, '96.0 % (94.1 to 97.3)')
    """

    task: str
    method: str
    accuracies: tuple[float, ...]
    images: int
    seconds: float

    @property
    def accuracy(self) -> float:
        """The mean over the seeds."""
        return round(fmean(self.accuracies), 6)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean that the number of test images gives.

        What another seed would change is not in it: `accuracies` shows that.
        """
        return wilson_interval(round(self.accuracy * self.images), self.images)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.accuracy:.1%} ({100 * low:.1f} to {100 * high:.1f})".replace("%", " %")

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data, the mean and its interval included."""
        return {**asdict(self), "accuracy": self.accuracy, "interval": list(self.interval)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Score:
        """Return the score that `to_dict` described."""
        plain = {key: data[key] for key in ("task", "method", "images", "seconds")}
        return cls(**plain, accuracies=tuple(data["accuracies"]))
