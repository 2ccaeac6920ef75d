"""Which columns of a Hugging Face dataset hold the pictures and their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from graft.data.layout import label_of
from graft.errors import DataError


class Columns(NamedTuple):
    """Where pictures and labels are.

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
