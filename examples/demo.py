"""The whole way on images that every installation has: scikit-learn's handwritten digits.

Graft ships no pre-trained backbone yet, so this trains a small ResNet-18 from random weights. What
it shows is the way of working; what transfer gains shows on photographs with pre-trained weights.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

TRAIN_PER_CLASS, VAL_PER_CLASS = 60, 20


def write_digits(folder: Path) -> None:
    """Write the digits as `train|val/<digit>/<number>.png`, 32 x 32 pixels each."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for digit in range(10):
        images = digits.images[digits.target == digit][: TRAIN_PER_CLASS + VAL_PER_CLASS]
        for number, pixels in enumerate(images):
            split = "train" if number < TRAIN_PER_CLASS else "val"
            place = folder / split / str(digit)
            place.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray((pixels * 255 / 16).astype("uint8"))
            image.resize((32, 32), Image.Resampling.BICUBIC).save(place / f"{number:03}.png")


def graft(*arguments: str) -> None:
    """Print a command line, and run it."""
    print(f"\n$ graft {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "graft", *arguments], check=True)


def main() -> None:
    """Make the images, fit, predict."""
    folder = Path(tempfile.mkdtemp(prefix="graft-demo-"))
    print("Graft demo: scikit-learn's handwritten digits, 60 images of each to learn from.")
    print(
        "No pre-trained weights are used: ResNet-18 starts from random ones (--strategy scratch)."
    )
    write_digits(folder / "digits")
    training = ["--backbone", "resnet18", "--strategy", "scratch", "--epochs", "10"]
    look = ["--image-size", "32", "--augment", "none"]
    graft("fit", str(folder / "digits"), *training, *look, "--out", str(folder / "run"))
    val = folder / "digits" / "val"
    graft("predict", str(folder / "run"), str(val / "3" / "060.png"), str(val / "7" / "060.png"))
    print(f"\nThe report: {folder / 'run' / 'report.html'}")
    print("Next, on your own images: graft fit YOUR_FOLDER --backbone resnet18 --strategy full")


if __name__ == "__main__":
    main()
