"""The images of a Hugging Face dataset as files, written out once: its columns, and the bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeAlias

from graft.data.decode import identify
from graft.data.layout import SPLIT_NAMES, LabelledFile, Listing, label_of
from graft.data.read import UnreadableError
from graft.errors import DataError
from graft.files import wrap_os_errors


class Columns(NamedTuple):
    """Where images and labels are.

    Args:
        image: Name of the Image column.
        label: Name of the label column.
        classes: The class names that its numbers stand for; None where it holds the names.
    """

    image: str
    label: str
    classes: tuple[str, ...] | None

    def label_in(self, row: Mapping[str, Any]) -> str:
        """Return a row's class name; "" where it has none, such as the number -1.

        Example:
            >>> columns = Columns("image", "label", ("ant", "bee"))
            >>> [columns.label_in({"label": value}) for value in (1, -1, None)]
            ['bee', '', '']
        """
        value = row[self.label]
        if self.classes is not None:
            known = value is not None and 0 <= value < len(self.classes)
            value = self.classes[value] if known else ""
        label = label_of(value or "").strip()
        return label if label.isprintable() else ""


def find_columns(features: Mapping[str, Any], where: str) -> Columns:
    """Find the Image column and the label column by their features.

    The label is the one ClassLabel column. Without any it is the one column of strings, or the one
    of them that is called "label".

    Args:
        features: Feature of each column, as `datasets` describes them.
        where: What the error calls the dataset.

    Raises:
        DataError: There is none of either, or more than one; the columns are named.

    Example:
        >>> from datasets import ClassLabel, Features, Image, Value  # doctest: +SKIP
        >>> kinds = ClassLabel(names=["ant", "bee"])  # doctest: +SKIP
        >>> find_columns(Features(file=Value("string"), img=Image(), kind=kinds), "photos")
        ... # doctest: +SKIP
        Columns(image='img', label='kind', classes=('ant', 'bee'))
    """
    from datasets import ClassLabel, Image, Value

    def are(kind: type) -> list[str]:
        return [name for name, feature in features.items() if isinstance(feature, kind)]

    texts = [name for name in are(Value) if features[name].dtype in ("string", "large_string")]
    image = _only(are(Image), "image", features, where)
    named = [name for name in texts if name.casefold() == "label"]
    label = _only(
        are(ClassLabel) or (named if len(named) == 1 else texts), "label", features, where
    )
    names = getattr(features[label], "names", None)
    return Columns(image, label, None if names is None else tuple(names))


def _only(found: list[str], what: str, features: Mapping[str, Any], where: str) -> str:
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{where} has several columns that could be the {what}: {', '.join(found)}.",
            "Keep one of them: dataset.remove_columns([...]).save_to_disk(FOLDER).",
        )
    kinds = ", ".join(f"{name} ({_kind(feature)})" for name, feature in features.items())
    wanted = "an Image column" if what == "image" else "a label column (ClassLabel or string)"
    raise DataError(
        f"{where} has no {what} column; its columns are {kinds or 'none'}.",
        f"Give it {wanted}: dataset.cast_column(...).save_to_disk(FOLDER).",
    )


def _kind(feature: Any) -> str:
    return str(getattr(feature, "dtype", None) or type(feature).__name__)


Load: TypeAlias = Callable[[Path], Mapping[str, Any]]

_LISTING = "listing.json"
_SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2"}


def write_out(load: Load, target: Path, name: str) -> None:
    """Write every image of a dataset into a new folder, each under the SHA-256 of its bytes.

    The folder appears under its name complete or not at all. Where another process was quicker,
    its folder stays.

    Args:
        load: Returns a `datasets.Dataset` by the name of its split, "" where it has none; it may
            put what it needs for a while into the folder that it is given.
        target: The folder to make.
        name: What errors call the dataset.

    Raises:
        DataError: A split has no image or no label column, or more than one.
        ResourceError: The disk is full or the folder cannot be made.
    """
    with wrap_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(
            dir=target.parent, prefix=f".{target.name}.", ignore_cleanup_errors=True
        )
    with scratch as place:
        folder = Path(place) / target.name
        listing = {"source": name, **_write(load(Path(place)), folder, name)}
        with wrap_os_errors(target):
            folder.mkdir(exist_ok=True)
            (folder / _LISTING).write_text(json.dumps(listing, indent=1) + "\n", encoding="utf-8")
            if hasattr(os, "sync"):
                os.sync()  # once for all images, before their folder gets its name
            _rename(folder, target)


def read_back(target: Path) -> Listing | None:
    """Return what `write_out` wrote into a folder, or None if it has not."""
    try:
        document = json.loads((target / _LISTING).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(
            f"The cached images in '{target}' cannot be read: {error}.", "Remove that folder."
        ) from error
    entries = [
        LabelledFile(target / path, label, split) for path, label, split in document["entries"]
    ]
    return Listing(entries, document["notes"])


def _write(splits: Mapping[str, Any], folder: Path, name: str) -> dict[str, Any]:
    known = {given: SPLIT_NAMES.get(given.casefold(), "") for given in splits}
    entries: list[tuple[str, str, str]] = []
    notes: list[str] = []
    for given, dataset in splits.items():
        if not known[given] and any(known.values()):
            notes.append(f"Left out: the split '{given}', which is none of train, val and test.")
            continue
        where = f"The split '{given}' of '{name}'" if len(splits) > 1 else f"'{name}'"
        columns = find_columns(dataset.features, where)
        missing: Counter[str] = Counter()
        for row in _undecoded(dataset, columns):
            label = columns.label_in(row)
            path = _store(row[columns.image], folder) if label else ""
            if path:
                entries.append((path, label, known[given]))
            else:
                missing["an image" if label else "a label"] += 1
        of = f" of '{given}'" if given else ""
        notes += [
            f"Left out: {count} row{'s' * (count > 1)}{of} without {what}."
            for what, count in missing.items()
        ]
    return {"entries": entries, "notes": notes}


def _undecoded(dataset: Any, columns: Columns) -> Any:
    """Return the rows with each image as {"bytes", "path"}: decoding is `data.decode`'s work."""
    from datasets import Image as ImageFeature

    chosen = dataset.with_format(None).select_columns([columns.image, columns.label])
    return chosen.cast_column(columns.image, ImageFeature(decode=False))


def _store(image: Mapping[str, Any] | None, folder: Path) -> str:
    """Write one image unless it is there; returns its path, "" if there is no image.

    An image that the dataset only refers to is copied; one that is not there keeps its path, so
    that it is set aside by name.
    """
    if image is None:
        return ""
    data: bytes | None = image["bytes"]
    if data is None and image["path"]:
        file = Path(image["path"])
        if not file.is_file():
            return str(file.absolute())
        data = file.read_bytes()
    if data is None:
        return ""
    digest = hashlib.sha256(data).hexdigest()
    path = f"images/{digest[:2]}/{digest}{_suffix(data)}"
    if not (folder / path).exists():
        with wrap_os_errors(folder):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
    return path


def _suffix(data: bytes) -> str:
    """Return the suffix of an image's format, "" if its header is none that is known."""
    try:
        kind = identify(io.BytesIO(data)).format or ""
    except UnreadableError:  # it is set aside later, with its reason
        return ""
    return _SUFFIXES.get(kind, f".{kind.lower()}")


def _rename(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise
