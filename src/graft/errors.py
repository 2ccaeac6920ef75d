"""What can go wrong, as a user should hear it.

Every error a user can cause is a `GraftError`: one sentence that names what was received and what
was expected, and one that says what to do. The command line prints the two and exits with
`exit_code`; a program catches the class it cares about.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GraftError(Exception):
    """Base of everything Graft raises on purpose.

    Args:
        problem: What was received and what was expected, in one sentence.
        remedy: What to do about it, in one sentence. May be empty.

    Example:
        >>> error = DataError("'photos' holds no images.", "Put one folder per class into it.")
        >>> error.exit_code
        3
        >>> print(error)
        'photos' holds no images. Put one folder per class into it.
    """

    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()


class RecipeError(GraftError):
    """An option, or a combination of options, that cannot be meant. Exit code 2."""

    exit_code = 2


class BackboneError(GraftError):
    """A backbone, stage or weights file that is unknown or does not fit. Exit code 2."""

    exit_code = 2


class DataError(GraftError):
    """Images, tables or model folders that are missing, damaged or unusable. Exit code 3."""

    exit_code = 3


class ResourceError(GraftError):
    """Memory, disk, device or network that is not there. Exit code 4."""

    exit_code = 4


class DivergedError(GraftError):
    """Training produced numbers that are not finite and could not be rescued. Exit code 5."""

    exit_code = 5


def nearest(word: str, known: Iterable[str], count: int = 3) -> str:
    """Return the known names closest to `word`, quoted and joined, or all of a short list.

    Example:
        >>> nearest("resnet81", ["resnet18", "resnet101", "vgg16"])
        "'resnet18', 'resnet101'"
        >>> nearest("zebra", ["ants", "bees"])
        "'ants', 'bees'"
    """
    names = list(known)
    close = difflib.get_close_matches(word, names, n=count, cutoff=0.5)
    if not close:
        close = names if len(names) <= 12 else names[:count]
    return ", ".join(repr(name) for name in close)
