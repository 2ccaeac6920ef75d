"""What is found by name: heads, strategies, objectives, tasks and providers of backbones.

Each is an entry point. Those of Graft stand below; an installed distribution adds its own:

    [project.entry-points."graft.heads"]
    mine = "my_package.heads:MyHead"

Nothing else is imported: a name in a recipe or in a model's file is looked up here, and is never
the path of a module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from operator import attrgetter
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from graft.errors import RecipeError, nearest
from graft.structured import shown

Width = Annotated[int, Field(ge=1, le=1 << 20)]
Share = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """A record in a file: keys by name, values by type; an integer is no boolean."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Registry(Mapping[str, Any]):
    """The entry points of one group by name, each imported when it is first asked for.

    Args:
        group: The entry point group, such as "graft.heads".
        what: What one of them is, in errors.
        shipped: Where those of Graft are, "module" or "module:name"; they cannot be replaced.

    Example:
        >>> "mlp" in HEADS, HEADS["linear"].__name__
        (True, 'LinearHead')
    """

    def __init__(self, group: str, what: str, shipped: Mapping[str, str]) -> None:
        self.group, self.what, self.shipped = group, what, dict(shipped)

    def entries(self) -> dict[str, str]:
        """Return where everything that is registered is, by name."""
        from importlib.metadata import entry_points  # which takes as long as pydantic to import

        return {entry.name: entry.value for entry in entry_points(group=self.group)} | self.shipped

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.shipped or name in self.entries())

    def __iter__(self) -> Iterator[str]:
        return iter(self.shipped | self.entries())

    def __len__(self) -> int:
        return len(self.entries())

    def __getitem__(self, name: str) -> Any:
        where = self.shipped.get(name) or self.entries()[name]
        module, _, inside = where.partition("[")[0].strip().partition(":")
        found = import_module(module)
        return attrgetter(inside.strip())(found) if inside else found

    def find(self, name: object) -> Any:
        """Return what is registered under a name.

        Raises:
            RecipeError: Nothing is, or its module cannot be imported.
        """
        if not isinstance(name, str) or name not in self:
            raise RecipeError(
                f"{shown(name)} is not a {self.what} that is installed.",
                f"Choose one of {nearest(str(name)[:80], self)}, or install the package that "
                f"registers it under the entry point group '{self.group}'.",
            )
        try:
            return self[name]
        except Exception as error:  # the code of another package may fail in any way
            raise RecipeError(
                f"The {self.what} '{name}' cannot be imported from '{self.entries()[name]}': "
                f"{error}.",
                "Repair or update the package that registers it.",
            ) from error


HEADS = Registry(
    "graft.heads",
    "head",
    {
        "linear": "graft.heads.linear:LinearHead",
        "mlp": "graft.heads.mlp:MLPHead",
        "cosine": "graft.heads.cosine:CosineHead",
    },
)
"""Modules with `record()` and a schema of it, `Record`; called with the record's arguments."""

STRATEGIES = Registry(
    "graft.strategies",
    "strategy",
    {
        "probe": "graft.strategies.strategies:PROBE",
        "partial": "graft.strategies.strategies:PARTIAL",
        "gradual": "graft.strategies.strategies:GRADUAL",
        "two-phase": "graft.strategies.strategies:TWO_PHASE",
        "full": "graft.strategies.strategies:FULL",
        "scratch": "graft.strategies.strategies:SCRATCH",
        "phases": "graft.strategies.strategies:PHASES",
    },
)
"""Each a `graft.strategies.Strategy`."""

OBJECTIVES = Registry("graft.objectives", "objective", {})
"""Functions `(task, options, train) -> objective`; without one the task composes its own."""

TASKS = Registry(
    "graft.tasks",
    "task",
    {
        "classification": "graft.tasks.classification:Classification",
        "multilabel": "graft.tasks.multilabel:Multilabel",
        "regression": "graft.tasks.regression:Regression",
    },
)
"""Classes with the methods of `graft.tasks.Task` and a schema of their record, `Record`."""

BACKBONES = Registry(
    "graft.backbones",
    "provider of backbones",
    {
        name: f"graft.backbones.providers.{name}"
        for name in ("graft", "lite", "torchvision", "timm", "hf")
    },
)
"""Modules with the functions of `graft.backbones.providers.Provider`."""
