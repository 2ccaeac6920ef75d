"""On what was measured: versions, cores and memory, in words that identify no machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "fastai": "fastai",
    "scikit-learn": "scikit-learn",
    "Pillow": "pillow",
    "graft": "graftlearn",
}


def describe_machine() -> dict[str, str]:
    """Return versions and the size of the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return {
        "python": platform.python_version(),
        **{name: _version(package) for name, package in PACKAGES.items()},
        "machine": f"{cores} cores ({platform.machine()}), {memory:.0f} GiB memory, no GPU used",
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
