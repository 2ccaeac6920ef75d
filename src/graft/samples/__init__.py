"""Sample data to learn and to try with: handwritten digits, digits on photographs, ants and bees.

Example:
    >>> import tempfile
    >>> from pathlib import Path
    >>> from graft.samples import write_samples
    >>> written = write_samples("digits", Path(tempfile.mkdtemp()) / "digits")
    >>> written["images"]
    {'train': 719, 'val': 179, 'test': 899}
"""

from graft.samples.digits import write_digits
from graft.samples.digits_m import write_digits_m
from graft.samples.hymenoptera import write_hymenoptera
from graft.samples.write import SAMPLES, write_samples

__all__ = ["SAMPLES", "write_digits", "write_digits_m", "write_hymenoptera", "write_samples"]
