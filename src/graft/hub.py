"""Files of the Hugging Face hub, through its own library and cache.

The library downloads to a private file that it renames, resumes with Range, retries, checks sizes,
and keeps HF_HOME and HF_HUB_CACHE; here it learns when to ask nothing, what else to check, and how
to say what went wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from graft.download import offline
from graft.errors import BackboneError, DataError, GraftError, ResourceError
from graft.files import sha256, wrap_os_errors

Kind = Literal["model", "dataset"]
MISSING: dict[Kind, type[GraftError]] = {"model": BackboneError, "dataset": DataError}
SHA256 = re.compile(r"[0-9a-f]{64}")


def hub_file(
    repo_id: str, *filenames: str, revision: str | None = None, kind: Kind = "model"
) -> Path:
    """Return the local copy of a file of the Hugging Face hub, downloading it if there is none.

    A copy that is in the cache is used without asking the hub.

    Args:
        repo_id: "organisation/name".
        filenames: Paths inside the repository, the preferred one first; the first that is in the
            cache, else the first that the hub has, is taken.
        revision: Branch, tag or commit; default: the main branch.
        kind: Of the repository.

    Raises:
        BackboneError: The hub has no such model repository, revision or file, or does not show it.
        DataError: The same of a dataset repository.
        ResourceError: Graft is offline, the hub fails, the file is damaged, or the disk is full.

    Example:
        >>> hub_file("timm/resnet18.a1_in1k", "model.safetensors").name  # doctest: +SKIP
        'model.safetensors'
    """
    from huggingface_hub import (
        errors,
        get_hf_file_metadata,
        hf_hub_download,
        hf_hub_url,
        try_to_load_from_cache,
    )

    what = f"{' or '.join(map(repr, filenames))} in {_words(repo_id, revision)}"
    with _failures_are_named(what, kind):
        for name in filenames:
            cached = try_to_load_from_cache(repo_id, name, revision=revision, repo_type=kind)
            if isinstance(cached, str):
                return Path(cached)
        if offline():
            raise errors.OfflineModeIsEnabled(what)
        for name in filenames:
            try:
                # One question without the library's retries: a missing network is said at once.
                get_hf_file_metadata(hf_hub_url(repo_id, name, revision=revision, repo_type=kind))
            except errors.RemoteEntryNotFoundError:
                if name == filenames[-1]:
                    raise
            else:
                break
        file = Path(hf_hub_download(repo_id, name, revision=revision, repo_type=kind))
        _check(file, what)
    return file


def hub_folder(repo_id: str, revision: str | None = None, *, kind: Kind = "model") -> Path:
    """Return a folder with all files of a repository at one commit, downloading what is missing.

    A commit that is in the cache whole is used without asking the hub; what a branch or tag stands
    for is asked, unless the hub is out of reach.

    Args:
        repo_id: "organisation/name".
        revision: Branch, tag or commit; default: the main branch.
        kind: Of the repository.

    Returns:
        The folder; its name is the commit.

    Raises:
        BackboneError: The hub has no such model repository or revision, or does not show it.
        DataError: The same of a dataset repository.
        ResourceError: Graft is offline, the hub fails, or the disk is full.

    Example:
        >>> hub_folder("beans", kind="dataset").name  # doctest: +SKIP
        '90c755fb6db1c0ccdad02e897a37969dbf070bed'
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import tqdm

    class QuietBar(tqdm):  # type: ignore[misc]
        """Draws on a terminal alone; the library's own draws into log files too."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{"disable": None, **options})

    with _failures_are_named(_words(repo_id, revision), kind):
        folder = snapshot_download(
            repo_id,
            revision=revision,
            repo_type=kind,
            local_files_only=offline(),
            tqdm_class=QuietBar,
        )
    return Path(folder)


def _words(repo_id: str, revision: str | None) -> str:
    return f"'{repo_id}'" + (f" at '{revision}'" if revision else "")


@contextmanager
def _failures_are_named(what: str, kind: Kind) -> Iterator[None]:
    """Turn what the library raises into errors that say what, from where, and what to do."""
    from huggingface_hub import constants, errors

    try:
        yield
    except GraftError:
        raise
    except errors.GatedRepoError as error:
        raise MISSING[kind](
            f"{what} is gated on {constants.ENDPOINT}.",
            "Ask for access on its page there and log in with `hf auth login`.",
        ) from error
    except (
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
        errors.RemoteEntryNotFoundError,
    ) as error:
        raise MISSING[kind](
            f"{constants.ENDPOINT} has no {what}.",
            "Check the spelling; for a private repository log in with `hf auth login`.",
        ) from error
    except Exception as error:  # the library's family of errors differs between its versions
        if isinstance(error, OSError) and error.errno is not None:
            with wrap_os_errors(constants.HF_HUB_CACHE):
                raise
        if offline():
            raise ResourceError(
                f"Graft is offline and {what} is not in {constants.HF_HUB_CACHE}; it would come "
                f"from {constants.ENDPOINT}.",
                "Allow the network once, or give a local copy.",
            ) from error
        cause = error.__cause__ or error
        reason = next(iter(str(cause).splitlines()), "") or type(cause).__name__
        raise ResourceError(
            f"{what} could not be fetched from {constants.ENDPOINT}: {reason.rstrip('.')}.",
            "Check the network, or give a local copy.",
        ) from error


def _check(file: Path, what: str) -> None:
    """Compare a new file with the SHA-256 that names it in the cache, if that is what names it."""
    content = file.resolve()
    if SHA256.fullmatch(content.name) and sha256(content) != content.name:
        file.unlink()
        content.unlink(missing_ok=True)
        raise ResourceError(
            f"What the hub sent for {what} is damaged: its SHA-256 is not {content.name}.",
            "Try again, or give a local copy.",
        )
