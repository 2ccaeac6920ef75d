"""What is grafted onto a backbone: modules from features to outputs.

A head is a module with `record()`, which says how to build it again, and an attribute `Record`, the
schema of what that returns: a `HeadRecord` whose further fields are the head's own options. It is
found by its kind among the entry points of the group "graft.heads"; see `graft.plugins`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, cast

from pydantic import BaseModel, Field

from graft.errors import BackboneError, GraftError
from graft.plugins import HEADS, Share, Strict, Width
from graft.structured import shown

if TYPE_CHECKING:
    from torch import Tensor, nn


class HeadRecord(Strict):
    """What every head's `record()` returns; a head of your own adds its options as fields.

    Args:
        kind: The name of its entry point.
        width: Features per image.
        classes: Outputs per image.
        dropout: Drop probability in training. A head without drop-out leaves it at 0.
    """

    kind: str
    width: Width
    classes: Width
    dropout: Share = 0.0


class LinearRecord(HeadRecord):
    """What `LinearHead.record` returns."""

    kind: Literal["linear"]


class CosineRecord(HeadRecord):
    """What `CosineHead.record` returns."""

    kind: Literal["cosine"]


class MLPOptions(BaseModel):
    """The options of `MLPHead`, for its record and for the recipe."""

    hidden: Annotated[tuple[Width, ...], Field(strict=False, min_length=1, max_length=100)] = Field(
        (256,), description="mlp: widths of the hidden layers, such as 512,128"
    )
    activation: Literal["relu", "gelu", "silu", "tanh"] = Field(
        "relu", description="mlp: relu, gelu, silu or tanh"
    )
    normalization: Literal["none", "batch", "layer"] = Field(
        "none", description="mlp: none, batch or layer, before each activation"
    )


class MLPRecord(HeadRecord, MLPOptions):
    """What `MLPHead.record` returns."""

    kind: Literal["mlp"]


class Head(Protocol):
    """A module from features to outputs; what `build_head` makes and what `fit` takes."""

    Record: ClassVar[type[HeadRecord]]

    def __call__(self, features: Tensor) -> Tensor:
        """Return outputs (N, classes) of features (N, width)."""

    def record(self) -> dict[str, Any]:
        """Return "kind", "width", "classes" and the head's own options."""


def build_head(record: Mapping[str, Any], *, seed: int = 0) -> nn.Module:
    """Return the head that a `record()` describes, with its initial weights.

    Args:
        record: "kind" and the arguments of that kind of head.
        seed: Of the initial weights; the head is called with `seed=`.

    Raises:
        BackboneError: The kind is not installed or the arguments do not fit it.

    Example:
        >>> build_head({"kind": "linear", "width": 4, "classes": 2, "dropout": 0.2})
        LinearHead(width=4, classes=2, dropout=0.2)
    """
    from graft.model_folder import checked_part  # which the help of a command has no use for

    options = dict(record)
    kind = options.pop("kind", None)
    try:
        checked_part(record, HEADS, "kind", "The record of the head")
        return cast("nn.Module", HEADS[str(kind)](**options, seed=seed))
    except (TypeError, ValueError, GraftError) as error:
        reason = error.problem if isinstance(error, GraftError) else f"{error}."
        raise BackboneError(
            f"The head {shown(dict(record), 300)} cannot be built. {reason}",
            f"Give a kind ({', '.join(HEADS)}) and its own arguments.",
        ) from error
