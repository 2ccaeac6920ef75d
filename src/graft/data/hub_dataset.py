"""A Hugging Face dataset as a source of images: saved in a folder, or by its name on the hub."""

from __future__ import annotations

import io
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from graft.data.decode import identify
from graft.data.image_files import ImageFiles, cache_place, read_back, write_out
from graft.data.layout import SPLIT_NAMES, Listing, label_of
from graft.data.manifest import stratified_order
from graft.data.read import UnreadableError
from graft.errors import DataError, GraftError
from graft.files import sha256
from graft.hub import hub_folder

PREFIX = "hf:"

_MARKS = ("dataset_dict.json", "dataset_info.json", "state.json")
_NAME = re.compile(
    r"hf:(?P<repo>\w[\w.-]*(?:/\w[\w.-]*)?)(?:@(?P<revision>[^:@\s\[\]]+))?"
    r"(?::(?P<config>[^\s\[\]]+))?(?:\[:(?P<first>[1-9]\d{0,8}|(?:100|[1-9]\d?)%)\])?"
)
_FORM = "Write hf:ORG/NAME[@REVISION][:CONFIG][:SPLIT][[:N]], such as hf:food101[:5000]."
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubName(NamedTuple):
    """A dataset on the hub, or a part of it: "hf:repo[@revision][:config][[:N]]".

    Args:
        repo: "organisation/name".
        revision: Branch, tag or commit; None for the main branch.
        config: The configuration; None for the only one.
        first: How many images of the split, "5000" or "10%", the same share of each class; "" for
            all images of all splits.
        split: Which split's, as it was written; "" for that of training.
    """

    repo: str
    revision: str | None = None
    config: str | None = None
    first: str = ""
    split: str = ""


def hub_name(source: str) -> HubName | None:
    """Return what a name like "hf:beans" stands for; None if it is a path.

    Raises:
        DataError: It begins like a name and is none.

    Example:
        >>> hub_name("hf:uoft-cs/cifar10@refs/convert/parquet:plain_text")[:3]
        ('uoft-cs/cifar10', 'refs/convert/parquet', 'plain_text')
        >>> hub_name("hf:food101:validation[:10%]")
        HubName(repo='food101', revision=None, config=None, first='10%', split='validation')
        >>> hub_name("photos") is None
        True
    """
    if not source.startswith(PREFIX):
        return None
    found = _NAME.fullmatch(source)
    if found is None:
        raise DataError(f"'{source}' is not the name of a dataset.", _FORM)
    config, first = found["config"], found["first"] or ""
    before, _, split = (config or "").rpartition(":")
    if not first or split.casefold() not in SPLIT_NAMES:
        return HubName(found["repo"], found["revision"], config, first)
    return HubName(found["repo"], found["revision"], before or None, first, split)


def is_saved_dataset(folder: Path) -> bool:
    """Return whether `save_to_disk` of the `datasets` library made a folder."""
    files = {name for name in _MARKS if (folder / name).is_file()}
    return "dataset_dict.json" in files or {"dataset_info.json", "state.json"} <= files


def read_saved_dataset(folder: Path) -> Listing:
    """List the labelled images of a dataset that was saved in a folder.

    They are written into the user's cache on the first call; as long as the folder's content stays
    the same, later calls only list them.

    Args:
        folder: One for which `is_saved_dataset` holds.

    Raises:
        DataError: The dataset is damaged or has no image or label column, or `datasets` is missing.
        ResourceError: The disk is full.
    """
    # Caches of `.map`, which lie beside the data, are never read and change nothing.
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix in (".arrow", ".json") and not file.name.startswith("cache-")
    )
    contents = [(file.relative_to(folder).as_posix(), sha256(file)) for file in files]
    target = cache_place(folder.name, contents)
    return read_back(target) or _written_out(
        lambda _: _library().load_from_disk(str(folder)), target, HubName(str(folder))
    )


def read_hub_dataset(name: HubName) -> Listing:
    """List the labelled images of a dataset on the hub, or of a part of one of its splits.

    All its files are fetched, whatever part is asked for. They are kept by the Hugging Face cache,
    the images by Graft's; a pinned commit that is there is used without asking the hub.

    Raises:
        DataError: The dataset is damaged or has no image or label column or not the split, the
            hub has no such dataset or revision, or `datasets` is missing.
        ResourceError: Graft is offline, the hub fails, or the disk is full.
    """
    repo, revision, config, *part = name

    def place(commit: str) -> Path:
        return cache_place(repo, [commit, config, *(part if name.first else [])])

    if revision and _COMMIT.fullmatch(revision):
        listing = read_back(place(revision))
        if listing is not None:
            return listing
    _library()  # before anything is fetched in vain
    folder = hub_folder(repo, revision, kind="dataset")

    def load(scratch: Path) -> Any:
        if is_saved_dataset(folder):
            return _library().load_from_disk(str(folder))
        _refuse_other_places(folder, repo)
        # From the files that are here, so that the library asks the network for nothing; its own
        # copy of them is of no further use.
        return _library().load_dataset(str(folder), config, cache_dir=str(scratch))

    target = place(folder.name)
    return read_back(target) or _written_out(load, target, name)


def _written_out(load: Callable[[Path], Any], target: Path, name: HubName) -> Listing:
    """Load a dataset, write its images out, and list them."""

    def write(images: ImageFiles) -> None:
        loaded = load(images.scratch)
        splits = dict(loaded) if isinstance(loaded, dict) else {str(loaded.split or ""): loaded}
        _write(images, splits, name)

    try:
        with _quiet_without_terminal():
            write_out(write, target, name.repo)
    except GraftError:
        raise
    except Exception as error:  # damaged files make Arrow and the library raise nearly anything
        reason = " ".join(str(error).splitlines()[:2]) or type(error).__name__
        raise DataError(
            f"'{name.repo}' cannot be read as a Hugging Face dataset: {reason.rstrip('.')}.",
            "Save or download it again; write hf:ORG/NAME:CONFIG to choose a configuration.",
        ) from error
    listing = read_back(target)
    assert listing is not None, "just written"
    return listing


def _write(images: ImageFiles, splits: Mapping[str, Any], name: HubName) -> None:
    known = {given: SPLIT_NAMES.get(given.casefold(), "") for given in splits}
    chosen = _chosen(known, name) if name.first else None
    for given, dataset in splits.items():
        if chosen is not None and given != chosen:
            images.notes.append(f"Left out: the split '{given}', as only '{chosen}' is read.")
            continue
        if not known[given] and any(known.values()):
            images.notes.append(
                f"Left out: the split '{given}', which is none of train, val and test."
            )
            continue
        where = f"The split '{given}' of '{name.repo}'" if len(splits) > 1 else f"'{name.repo}'"
        columns = find_columns(dataset.features, where)
        rows = _undecoded(dataset, columns)
        if name.first:
            rows, note = _part(rows, columns, name.first, where)
            images.notes.append(note)
        missing: Counter[str] = Counter()
        for row in rows:
            label = columns.label_in(row)
            if not label or not _add(images, row[columns.image], label, known[given]):
                missing["an image" if label else "a label"] += 1
        of = f" of '{given}'" if given else ""
        images.notes += [
            f"Left out: {count} row{'s' * (count > 1)}{of} without {what}."
            for what, count in missing.items()
        ]


def _chosen(known: Mapping[str, str], name: HubName) -> str:
    """Return the one split that a part is taken from."""
    if len(known) == 1 and not name.split:
        return next(iter(known))
    wanted = SPLIT_NAMES[name.split.casefold() or "train"]
    exact = [given for given in known if given == name.split]
    found = exact or [given for given, split in known.items() if split == wanted]
    if len(found) == 1:
        return found[0]
    raise DataError(
        f"'{name.repo}' has the splits {', '.join(known)}; [:{name.first}] is of "
        f"'{name.split or 'train'}'.",
        f"Name one of them: hf:{name.repo}:SPLIT[:{name.first}].",
    )


def _part(rows: Any, columns: Columns, first: str, where: str) -> tuple[Any, str]:
    """Return the same share of each class, from the beginning of each, in the order of the rows."""
    labels = [columns.label_in({columns.label: value}) for value in rows[columns.label]]
    labelled = [row for row, label in enumerate(labels) if label]
    total, classes = len(labelled), len({labels[row] for row in labelled})
    number, percent, _ = first.partition("%")
    count = min(total, round(total * int(number) / 100) if percent else int(number))
    if count < classes:
        raise DataError(
            f"{where} has {classes} classes, more than the {count} of its {total:,} images that "
            f"[:{first}] asks for.",
            "Ask for at least one image of each class.",
        )
    order = stratified_order([(labels[row],) for row in labelled])
    chosen = sorted(labelled[position] for position in order[:count])
    return rows.select(chosen), (
        f"{count:,} of {total:,} images of {where[0].lower()}{where[1:]} are read, the same share "
        "of each class."
    )


def _undecoded(dataset: Any, columns: Columns) -> Any:
    """Return the rows with each image as {"bytes", "path"}: decoding is `data.decode`'s work."""
    from datasets import Image as ImageFeature

    chosen = dataset.with_format(None).select_columns([columns.image, columns.label])
    return chosen.cast_column(columns.image, ImageFeature(decode=False))


def _add(images: ImageFiles, image: Mapping[str, Any] | None, label: str, split: str) -> bool:
    """Write an image; returns whether there is one.

    An image that the dataset only refers to is copied; one that is not there keeps its path, so
    that it is set aside by name.
    """
    if image is None:
        return False
    data: bytes | None = image["bytes"]
    path: str | None = image["path"]
    if data is None and path:
        if not Path(path).is_file():
            images.refer(str(Path(path).absolute()), label, split)
            return True
        data = Path(path).read_bytes()
    if data is not None:
        images.add(data, _suffix(data), label, split)
    return data is not None


_SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2"}


def _suffix(data: bytes) -> str:
    """Return the suffix of an image's format, "" if its header is none that is known."""
    try:
        kind = identify(io.BytesIO(data)).format or ""
    except UnreadableError:  # it is set aside later, with its reason
        return ""
    return _SUFFIXES.get(kind, f".{kind.lower()}")


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


def _library() -> Any:
    """Return the module `datasets`.

    Raises:
        DataError: It is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"Hugging Face datasets need the package 'datasets': {error}.",
            "Install it with: pip install 'graftlearn[datasets]'",
        ) from error
    return datasets


@contextmanager
def _quiet_without_terminal() -> Iterator[None]:
    """Keep the library's progress bars out of log files."""
    library = _library()
    if sys.stderr.isatty() or library.are_progress_bars_disabled():
        yield
        return
    library.disable_progress_bars()
    try:
        yield
    finally:
        library.enable_progress_bars()


def _refuse_other_places(folder: Path, repo: str) -> None:
    """Raise a `DataError` where a dataset's card sends the library elsewhere for its files."""
    from huggingface_hub import DatasetCard

    card, settings = folder / "README.md", folder / ".huggingface.yaml"
    configs = [DatasetCard.load(card).data.to_dict().get("configs")] if card.is_file() else []
    if settings.is_file():
        configs.append(yaml.safe_load(settings.read_text(encoding="utf-8")))
    for text in _strings(configs):
        if "://" in text:
            raise DataError(
                f"The dataset '{repo}' refers to data outside of its repository: {text}.",
                "Save it with save_to_disk where you trust that place, and give the folder.",
            )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _strings(part)
    elif isinstance(value, str):
        yield value
