"""Numbers, names and tables as a person reads them, alike on the page and in the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

ABSENT = "–"


def visible(text: object) -> str:
    r"""Return `text` with every character that does not print written as its escape.

    Class names and paths come from other people's disks. Terminal escapes, direction marks and
    undecodable bytes are shown instead of obeyed.

    Args:
        text: Anything; `str()` is taken of it.

    Returns:
        A string of printable characters that encodes to UTF-8.

    Example:
        >>> print(visible("ants"), visible("\x1b[31mred"), visible("caf\udce9"))
        ants \x1b[31mred caf\udce9
    """
    word = str(text)
    if word.isprintable():
        return word
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in word
    )


def finite(value: Any) -> float | None:
    """Return `value` as a float if it is a finite number, else None.

    Example:
        >>> finite(1), finite(float("nan")), finite("1"), finite(None)
        (1.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def percent(share: Any) -> str:
    """Return a share between 0 and 1 in percent, with one decimal.

    Example:
        >>> percent(0.9477), percent(1), percent(None)
        ('94.8%', '100.0%', '–')
    """
    number = finite(share)
    return ABSENT if number is None else f"{100 * number:.1f}%"


def between(interval: Sequence[Any] | None) -> str:
    """Return an interval of shares in words.

    Example:
        >>> between([0.9, 0.9734]), between(None)
        ('90.0 to 97.3%', '–')
    """
    if interval is None or len(interval) != 2 or None in map(finite, interval):
        return ABSENT
    return f"{100 * interval[0]:.1f} to {percent(interval[1])}"


def decimal(value: Any) -> str:
    """Return a loss or a score with three decimals.

    Example:
        >>> decimal(0.21), decimal(float("inf"))
        ('0.210', '–')
    """
    number = finite(value)
    return ABSENT if number is None else f"{number:.3f}"


def quantity(value: Any) -> str:
    """Return a number of any size with four significant digits.

    Example:
        >>> quantity(0.0312345), quantity(1234567), quantity(2.0), quantity(None)
        ('0.03123', '1.235e+06', '2', '–')
    """
    number = finite(value)
    return ABSENT if number is None else f"{number + 0.0:.4g}"


def span(interval: Sequence[Any] | None) -> str:
    """Return an interval of numbers in words.

    Example:
        >>> span([1.5, 2.25]), span(None)
        ('1.5 to 2.25', '–')
    """
    if interval is None or len(interval) != 2 or None in map(finite, interval):
        return ABSENT
    return f"{quantity(interval[0])} to {quantity(interval[1])}"


def score_text(metric: str, value: Any) -> str:
    """Return a task's score: an accuracy in percent, any other with its name.

    Example:
        >>> score_text("accuracy", 0.9477), score_text("R2", 0.81)
        ('94.8%', 'R2 0.810')
    """
    return percent(value) if metric == "accuracy" else f"{metric} {decimal(value)}"


def count(value: Any, noun: str = "") -> str:
    """Return a whole number with its thousands apart and, on request, its noun.

    Example:
        >>> count(2228996), count(1, "image"), count(153, "image")
        ('2,228,996', '1 image', '153 images')
    """
    number = finite(value)
    figure = ABSENT if number is None else f"{round(number):,}"
    if not noun:
        return figure
    return f"{figure} {noun}" if number == 1 else f"{figure} {noun}s"


def trainable(number: Any, parameters: Any) -> str:
    """Return how many parameters train, and of how many, where that is known.

    Example:
        >>> trainable(2562, 2226434), trainable(2562, None)
        ('2,562 of 2,226,434 parameters (0.1%)', '2,562 parameters')
    """
    if not finite(parameters):
        return count(number, "parameter")
    share = percent((finite(number) or 0.0) / parameters)
    return f"{count(number)} of {count(parameters, 'parameter')} ({share})"


def rate(value: Any) -> str:
    """Return a learning rate with two significant digits.

    Example:
        >>> rate(0.001), rate(0.00085), rate(0)
        ('1e-3', '8.5e-4', '0')
    """
    number = finite(value)
    if number is None:
        return ABSENT
    if number == 0:
        return "0"
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def duration(seconds: Any) -> str:
    """Return a time span in the two units that matter.

    Example:
        >>> duration(12.34), duration(75), duration(3725)
        ('12.3 s', '1 min 15 s', '1 h 2 min')
    """
    number = finite(seconds)
    if number is None:
        return ABSENT
    if number < 59.95:
        return f"{number:.1f} s"
    minutes, rest = divmod(round(number), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def table() -> Table:
    """Return an empty table in the style of the house: a line below the header, no frame."""
    from rich import box
    from rich.table import Table

    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="dim",
    )


def text(words: object, style: str = "") -> Text:
    """Return words as they are: nothing in them is markup, and nothing moves the cursor.

    Example:
        >>> text("[bold]ants").plain
        '[bold]ants'
    """
    from rich.text import Text

    return Text(visible(words), style=style)


def say(console: Console, *parts: tuple[object, str]) -> None:
    """Print one paragraph of styled words, wrapped at the width of the console."""
    from rich.text import Text

    console.print(Text.assemble(*(text(words, style) for words, style in parts)))
