"""What is grafted onto a backbone: modules from features to logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from graft.errors import BackboneError, DataError
from graft.model_folder import checked_head
from graft.structured import shown

if TYPE_CHECKING:
    from graft.heads.cosine import CosineHead
    from graft.heads.linear import LinearHead
    from graft.heads.mlp import MLPHead

    Head: TypeAlias = LinearHead | MLPHead | CosineHead


def build_head(record: Mapping[str, Any], *, seed: int = 0) -> Head:
    """Return the head that a `record()` describes, with its initial weights.

    Args:
        record: "kind" ("linear", "mlp" or "cosine") and the arguments of that kind of head.
        seed: Of the initial weights.

    Raises:
        BackboneError: The kind is unknown or the arguments do not fit it.

    Example:
        >>> build_head({"kind": "linear", "width": 4, "classes": 2, "dropout": 0.2})
        LinearHead(width=4, classes=2, dropout=0.2)
    """
    from graft.heads.cosine import CosineHead
    from graft.heads.linear import LinearHead
    from graft.heads.mlp import MLPHead

    kinds: Mapping[Any, type[Head]] = {"linear": LinearHead, "mlp": MLPHead, "cosine": CosineHead}
    options = dict(record)
    kind = options.pop("kind", None)
    try:
        checked_head(record)
        return kinds[kind](**options, seed=seed)
    except (KeyError, TypeError, ValueError, DataError) as error:
        raise BackboneError(
            f"The head {shown(dict(record), 300)} cannot be built.",
            f"Give a kind ({', '.join(kinds)}) and its own arguments.",
        ) from error
