"""A Hugging Face dataset as a source of images: saved in a folder, or by its name on the hub."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from graft.data.hub_images import read_back, write_out
from graft.data.layout import Listing
from graft.errors import DataError, GraftError
from graft.files import sha256
from graft.hub import hub_folder
from graft.user_cache import user_cache

PREFIX = "hf:"
FORMAT = 1  # of what is written out; another number writes every dataset anew

_MARKS = ("dataset_dict.json", "dataset_info.json", "state.json")
_NAME = re.compile(
    r"hf:(?P<repo>\w[\w.-]*(?:/\w[\w.-]*)?)(?:@(?P<revision>[^:@\s]+))?(?::(?P<config>\S+))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubName(NamedTuple):
    """A dataset on the hub: "hf:repo[@revision][:config]"."""

    repo: str
    revision: str | None = None
    config: str | None = None


def hub_name(source: str) -> HubName | None:
    """Return what a name like "hf:beans" stands for; None if it is a path.

    Raises:
        DataError: It begins like a name and is none.

    Example:
        >>> hub_name("hf:uoft-cs/cifar10@refs/convert/parquet:plain_text")
        HubName(repo='uoft-cs/cifar10', revision='refs/convert/parquet', config='plain_text')
        >>> hub_name("photos") is None
        True
    """
    if not source.startswith(PREFIX):
        return None
    found = _NAME.fullmatch(source)
    if found is None:
        raise DataError(
            f"'{source}' is not the name of a dataset.", "Write hf:ORG/NAME[@REVISION][:CONFIG]."
        )
    return HubName(*found.groups())


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
    target = _place(folder.name, contents)
    return read_back(target) or _written_out(
        lambda _: _library().load_from_disk(str(folder)), target, str(folder)
    )


def read_hub_dataset(name: HubName) -> Listing:
    """List the labelled images of a dataset on the hub.

    Its files are kept by the Hugging Face cache, its images by Graft's; a pinned commit that is
    there is used without asking the hub.

    Raises:
        DataError: The dataset is damaged or has no image or label column, the hub has no such
            dataset or revision, or `datasets` is missing.
        ResourceError: Graft is offline, the hub fails, or the disk is full.
    """
    repo, revision, config = name
    if revision and _COMMIT.fullmatch(revision):
        listing = read_back(_place(repo, [revision, config]))
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

    target = _place(repo, [folder.name, config])
    return read_back(target) or _written_out(load, target, repo)


def _written_out(load: Callable[[Path], Any], target: Path, name: str) -> Listing:
    """Load a dataset, write its images out, and list them."""

    def splits(scratch: Path) -> dict[str, Any]:
        loaded = load(scratch)
        return dict(loaded) if isinstance(loaded, dict) else {str(loaded.split or ""): loaded}

    try:
        with _quiet_without_terminal():
            write_out(splits, target, name)
    except GraftError:
        raise
    except Exception as error:  # damaged files make Arrow and the library raise nearly anything
        reason = " ".join(str(error).splitlines()[:2]) or type(error).__name__
        raise DataError(
            f"'{name}' cannot be read as a Hugging Face dataset: {reason.rstrip('.')}.",
            "Save or download it again; write hf:ORG/NAME:CONFIG to choose a configuration.",
        ) from error
    listing = read_back(target)
    assert listing is not None, "just written"
    return listing


def _place(name: str, key: Any) -> Path:
    """Return the cache folder for what `key` determines."""
    digest = hashlib.sha256(json.dumps([FORMAT, name, key]).encode()).hexdigest()
    stem = re.sub(r"[^\w.-]+", "--", name)
    return user_cache() / "datasets" / f"{stem}-{digest[:16]}"


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
