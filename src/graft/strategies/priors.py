"""What an amount of data suggests before anything was measured on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prior:
    """How so many training images are best used.

    Args:
        below: Number of training images below which it holds.
        strategy: The strategy's name.
        reason: Why.
        passes: What a run costs in forward passes over the images: one where features are
            computed once; a training epoch is three, and two where most of it is frozen.
        copies: Numbers kept per parameter: one weight, and for training its gradient and the two
            moments of Adam.

    Example:
        >>> prior_for(244).strategy
        'probe'
    """

    below: float
    strategy: str
    reason: str
    passes: int
    copies: int


PRIORS = (
    Prior(
        1_000,
        "probe",
        "Under 1,000 images: extract features once and train a head on them; with more to learn, "
        "the network would learn the images by heart.",
        passes=1,
        copies=1,
    ),
    Prior(
        10_000,
        "gradual",
        "1,000 to 10,000 images: enough to unfreeze the stages one after another, from the head "
        "down.",
        passes=2 * 10,
        copies=4,
    ),
    Prior(
        float("inf"),
        "full",
        "Over 10,000 images: enough to fine-tune every stage.",
        passes=3 * 10,
        copies=4,
    ),
)


def prior_for(images: int) -> Prior:
    """Return how so many training images are best used; measured evidence beats it.

    Args:
        images: Number of training images.

    Example:
        >>> [prior_for(images).strategy for images in (999, 1_000, 9_999, 10_000)]
        ['probe', 'gradual', 'gradual', 'full']
    """
    return next(prior for prior in PRIORS if images < prior.below)


def lighter(prior: Prior) -> tuple[Prior, ...]:
    """Return a prior and those for fewer images, which cost less, in this order.

    Example:
        >>> [step.strategy for step in lighter(prior_for(4_317))]
        ['gradual', 'probe']
    """
    return PRIORS[PRIORS.index(prior) :: -1]
