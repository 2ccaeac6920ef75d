"""Peak memory of a probe on few and on many images, above that of the model alone."""

from __future__ import annotations

import shutil

from benchmarks.finding import Finding, Target
from benchmarks.place import Place
from benchmarks.row import Row
from benchmarks.synthetic import SIDE, write_images

NAME = "memory"
COUNTS, QUICK_COUNTS = (1_000, 100_000), (20, 60)
GIB = 1024**3


def findings(place: Place) -> list[Finding]:
    """Measure. Memory does not depend on what else runs, so that there is one round."""
    counts = QUICK_COUNTS if place.quick else COUNTS
    size = ["--image-size", str(SIDE)]
    model = place.inside("model_alone", *size).peak
    above: dict[int, float] = {}
    for count in counts:
        images = write_images(place.new_folder("images"), count)
        above[count] = (place.graft(*size, data=images).peak - model) / GIB
        shutil.rmtree(images)
    most = counts[-1]
    return [
        Finding(
            NAME,
            "8",
            f"memory above the model for {most:,} images of {SIDE} pixels, probe",
            above[most],
            "GiB",
            Target("at most", 2e9 / GIB) if most == COUNTS[-1] else None,
            {
                "model alone": f"{model / GIB:.2f} GiB",
                **{f"{count:,} images": f"{gib:+.2f} GiB" for count, gib in above.items()},
            },
            "peak resident memory, pages of mapped cache files included",
        )
    ]


ROW = Row(NAME, "peak memory by number of images", 3.5, findings, once=True)
