"""The recipe: every option of a run, typed and validated once.

Python, YAML, the command line and the environment fill the same model. A leaf's name is its flag
(`training.batch_size` is `--batch-size`, `GRAFT_BATCH_SIZE` and `batch_size=`); only the `name` of
a backbone or strategy and the `kind` of a head go by their section (`--backbone`, `--head`). The
names are therefore unique. The options of heads and strategies are declared beside them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from graft.aliases import MISSING, OPTIONS, PRESETS, WORDS, is_weights_name, published_weights
from graft.calls import spelling
from graft.errors import DataError, RecipeError, nearest
from graft.files import atomic_write
from graft.heads import MLPOptions
from graft.plugins import HEADS, TASKS
from graft.strategies.optimization import GRADIENT, Needs, OptimizerOptions
from graft.strategies.options import StrategyOptions
from graft.structured import MOST_YAML_BYTES, parse_yaml, read_text, shown


def _colour_or_grey(value: int) -> int:
    if value not in (1, 3):
        raise ValueError("images have 1 or 3 channels")
    return value


def _many(value: Any, *, mapping: bool) -> Any:
    """Read text as a list or a mapping, and leave the rest to pydantic."""
    if isinstance(value, int) and not mapping:
        return [value]
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not mapping:
        return parts
    pairs = [part.partition("=") for part in parts]
    if any(not separator for _, separator, _ in pairs):
        raise ValueError("write name=value pairs, such as stem=1e-5,head=1e-3")
    return {name.strip(): _scalar(number.strip()) for name, _, number in pairs}


def _installed(kind: str) -> str:
    if kind not in HEADS:
        raise ValueError(
            f"no such head is installed; nearest: {nearest(kind[:80], HEADS)}; packages register "
            f"theirs under the entry point group '{HEADS.group}'"
        )
    return kind


def _installed_task(name: str) -> str:
    if name not in TASKS:
        raise ValueError(f"no such task is installed; nearest: {nearest(name[:80], TASKS)}")
    return name


HeadKind = Annotated[str, AfterValidator(_installed)]
TaskName = Annotated[str, AfterValidator(_installed_task)]
Channels = Annotated[int, AfterValidator(_colour_or_grey)]


class Section(BaseModel):
    """A group of options: unknown keys are errors, values do not change afterwards.

    As text, a list is `1,3,5` and a mapping is `stem=1e-5,head=1e-3`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        read = {}
        for name, value in given.items():
            kind = cls.model_fields[name].annotation if name in cls.model_fields else None
            kinds = {get_origin(each) for each in (kind, *get_args(kind))}
            read[name] = _many(value, mapping=dict in kinds) if kinds & {tuple, dict} else value
        return read


class DataOptions(Section):
    """Which images, how they are split, and how they are varied."""

    path: str | None = Field(None, description="folder or CSV of labelled images")
    task: TaskName | None = Field(
        None,
        description="classification, multilabel, regression, or one of another package; if not "
        "given, what the columns of the CSV say",
    )
    val_fraction: float = Field(
        0.2, gt=0, lt=1, description="share held out for validation where no split is given"
    )
    test_fraction: float = Field(
        0.0, ge=0, lt=1, description="share held out for one test where no split is given"
    )
    per_class: int | None = Field(
        None, ge=1, description="most training images of each class; drawn by the seed"
    )
    limit: int | None = Field(
        None, ge=1, description="most training images, the same share of each class"
    )
    max_unreadable: float = Field(
        0.2, ge=0, le=1, description="share of unreadable images that stops the run"
    )
    image_size: int | None = Field(
        None, ge=8, le=4096, description="side in pixels instead of the weights' own"
    )
    resize: Literal["crop", "squash", "letterbox"] | None = Field(
        None,
        description="how images get the network's proportions: crop cuts the middle out, squash "
        "and letterbox show all of them; the weights' own way if not given",
    )
    channels: Channels | None = Field(None, description="of the images: 3 for colour, 1 for grey")
    augment: Annotated[str, Needs("gradient", "views", "augment=none")] = Field(
        "basic", description="none, basic, strong, or a list such as hflip,rotation(15)"
    )


class BackboneOptions(Section):
    """Which pre-trained network."""

    name: str | None = Field(
        None,
        description="architecture, such as resnet18; if not given, the one that --weights fits, "
        "else the most accurate usual network that is quick for these images and in the cache or "
        "within reach of a download, else graft-small, which ships with Graft",
    )
    weights: str | None = Field(
        None, description="local weights (.safetensors, .pth) instead of the download"
    )


class HeadOptions(Section, MLPOptions):
    """What is grafted onto the backbone. See `graft.heads`."""

    kind: HeadKind = Field("linear", description="linear, mlp, cosine, or one of another package")
    dropout: Annotated[float | None, GRADIENT] = Field(
        None, ge=0, lt=1, description="drop probability; the architecture's own if not given"
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="of a head from another package: --set head.options.NAME=VALUE",
    )

    @model_validator(mode="after")
    def _of_its_kind(self) -> HeadOptions:
        for name, field in MLPOptions.model_fields.items():
            if self.kind != "mlp" and getattr(self, name) != field.default:
                raise ValueError(f"--{name} belongs to --head mlp, but the head is {self.kind}")
        if self.options and self.kind in HEADS.shipped:
            raise ValueError(f"the head {self.kind} has flags of its own instead of head.options")
        return self


class StrategySection(Section, StrategyOptions):
    """Which layers learn, when, and how fast. See `graft.strategies`."""

    name: str = Field(
        "probe",
        description="probe, partial, gradual, two-phase, full, scratch, phases, or one of another "
        "package; phases if --phases is given",
    )

    @model_validator(mode="before")
    @classmethod
    def _phases_are_a_strategy(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("phases") and given.get("name") is None:
            return {**given, "name": "phases"}
        return given


class TrainingOptions(Section, OptimizerOptions):
    """The loop: how long, how fast, with what."""

    epochs: int | None = Field(
        None, ge=0, le=100_000, description="gradient epochs; the strategy's default if not given"
    )
    batch_size: Annotated[int, GRADIENT] = Field(32, ge=1, description="images per optimizer step")
    accumulate: Annotated[int, GRADIENT] = Field(
        1, ge=1, description="parts into which a batch is cut to save memory; the step is the same"
    )
    label_smoothing: Annotated[float, GRADIENT] = Field(
        0.1, ge=0, lt=1, description="share of the label spread evenly"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced gives each class the same weight in the loss"
    )
    views: Annotated[int | None, Needs("augmentation"), Needs("activations")] = Field(
        None,
        ge=1,
        description="augmented views per image that frozen layers see before they repeat; 4 if "
        "not given",
    )
    mixup: Annotated[float, GRADIENT] = Field(0.0, ge=0, description="alpha of Mixup; 0 is off")
    objective: Annotated[str | None, GRADIENT] = Field(
        None, description="of another package; the task's own if not given"
    )
    early_stopping: Annotated[int | None, GRADIENT] = Field(
        None, ge=1, description="epochs without gain after which a phase ends"
    )
    keep: Annotated[Literal["best", "fine-tuned", "last"], GRADIENT] = Field(
        "best",
        description="which weights become the model, by validation: the best, be it the solved "
        "head or an epoch; the best epoch, even where the solved head is better; or the last",
    )


class Recipe(Section):
    """Every option of a run.

    `backbone.name` is None until a workflow chooses one (see `graft.zoo.choose`); the recipe
    that a run records names it.

    Example:
        >>> recipe = resolve({"backbone": "resnet18", "batch_size": 16})
        >>> recipe.backbone.name, recipe.training.batch_size
        ('resnet18', 16)
    """

    data: DataOptions = DataOptions()
    backbone: BackboneOptions = BackboneOptions()
    head: HeadOptions = HeadOptions()
    strategy: StrategySection = StrategySection()
    training: TrainingOptions = TrainingOptions()
    preset: Literal["tutorial"] | None = Field(
        None,
        description="options that belong together; whatever else is given beats them. tutorial: "
        "PyTorch's transfer-learning listing, for --strategy full or probe",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="of everything that is random")
    workers: int | None = Field(None, ge=0, le=256, description="threads that decode images")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    cache: str | None = Field(
        None, description="folder that keeps what frozen layers made of images, or off"
    )
    out: str | None = Field(None, description="run folder; must not exist yet")
    objects: dict[str, str] = Field(
        default_factory=dict,
        description="parts that were given to graft.fit as Python objects, which no file describes",
    )
    offline: bool = Field(False, description="ask nothing of the network; use what is cached")

    @model_validator(mode="after")
    def _possible(self) -> Recipe:
        training, data = self.training, self.data
        if data.val_fraction + data.test_fraction >= 1:
            raise ValueError(
                f"val_fraction {data.val_fraction} and test_fraction {data.test_fraction} "
                "leave nothing to train on"
            )
        if self.strategy.name == "scratch" and self.backbone.weights is not None:
            raise ValueError("--strategy scratch starts from random weights, but weights are given")
        if self.strategy.head_start == "solve" and self.head.kind != "linear":
            raise ValueError(
                f"--head-start solve needs a linear head, and --head is {self.head.kind}"
            )
        if self.head.normalization == "batch" and training.batch_size // training.accumulate < 2:
            raise ValueError("--normalization batch cannot normalise batches of one image")
        if training.epochs and training.warmup >= training.epochs:
            raise ValueError(f"a warm-up of {training.warmup:g} epochs leaves none to train")
        if training.accumulate > training.batch_size:
            raise ValueError(
                f"a batch of {training.batch_size} cannot be cut into {training.accumulate} parts"
            )
        return self


AnyRecipe = TypeVar("AnyRecipe", bound=Section)
"""A verb's recipe: sections of options."""


def options(recipe: type[Section] = Recipe) -> Iterator[tuple[str, str, Any]]:
    """Yield every option as `(flag name, dotted path, pydantic field)`, in order."""
    for key, field in recipe.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            for leaf, inner in kind.model_fields.items():
                flag = {"name": key, "kind": key, "options": f"{key}_options"}.get(leaf, leaf)
                yield flag, f"{key}.{leaf}", inner
        else:
            yield key, key, field


def paths(recipe: type[Section] = Recipe) -> dict[str, str]:
    """Return the dotted path of every flag name, such as `{"lr": "training.lr", ...}`."""
    return {name: path for name, path, _ in options(recipe)}


def resolve(
    flags: Mapping[str, Any] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Recipe:
    """Build the recipe of `graft fit`; see `resolve_as`.

    Example:
        >>> resolve({"lr": 0.01}, sets=["training.epochs=3"], environ={"GRAFT_LR": "1"}).training.lr
        0.01
    """
    return resolve_as(
        Recipe, flags, config=config, sets=sets, environ=environ, on_message=on_message
    )


def resolve_as(
    recipe: type[AnyRecipe],
    flags: Mapping[str, Any] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> AnyRecipe:
    """Build a recipe: a flag beats the environment, which beats the file, which beats a default.

    Names that courses and other libraries use are translated wherever they come from; see
    `graft.aliases`.

    Args:
        recipe: Whose recipe.
        flags: Values by flag name (`lr`) or dotted path (`training.lr`); None means not given.
        config: A YAML file with the recipe's sections.
        sets: `"path=value"` strings; as strong as flags.
        environ: Variables such as `GRAFT_LR`; None means that there are none.
        on_message: Called with what each translated word means.

    Raises:
        RecipeError: A key is unknown, a value is not what it should be, or values contradict.
    """
    known = paths(recipe)
    tell = on_message or (lambda message: None)
    levels: list[dict[tuple[str, ...], Any]] = [
        _flat(read_yaml(config) if config is not None else {}),
        {
            (name,): _scalar(value)
            for name in (*known, *OPTIONS, *MISSING)
            if (value := (environ or {}).get(f"GRAFT_{name.upper()}")) is not None
        },
        dict(map(_assigned, sets)),
        {tuple(key.split(".")): value for key, value in (flags or {}).items() if value is not None},
    ]
    given: dict[tuple[str, ...], Any] = {}
    chosen: set[tuple[str, ...]] = set()
    for level in levels:
        placed = {_path(key, known, tell): value for key, value in level.items()}
        placed = _in_our_words(placed, known, tell)
        if level is not levels[0]:
            chosen.update(placed)
        given |= placed
    _name_weights(given, tell)
    tree: dict[str, Any] = {}
    for path, value in {**_preset(given), **given}.items():
        _place(tree, path, value)
    read = _validated(recipe, tree)
    _forget_defaults(read, {".".join(path) for path in chosen}, {".".join(path) for path in given})
    return read


def _forget_defaults(recipe: Section, chosen: Container[str], given: Container[str]) -> None:
    """Let `model_fields_set` say what somebody chose.

    That is what a flag, a variable or `--set` says, and what a file says that is not the default: a
    file that Graft wrote lists every option. What follows from a preset was not chosen.
    """
    for _, path, field in options(type(recipe)):
        section, _, leaf = path.rpartition(".")
        place: Section = getattr(recipe, section) if section else recipe
        default = field.get_default(call_default_factory=True)
        if path not in chosen and (path not in given or getattr(place, leaf) == default):
            place.model_fields_set.discard(leaf)


def _flat(tree: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Return sections of options as options by path."""
    flat: dict[tuple[str, ...], Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and key != "objects":
            flat |= {(key, str(leaf)): inner for leaf, inner in value.items()}
        else:
            flat[key,] = value
    return flat


def _assigned(assignment: str) -> tuple[tuple[str, ...], Any]:
    key, separator, value = assignment.partition("=")
    if not separator:
        raise RecipeError(f"--set {assignment} has no '='.", "Write --set training.lr=0.01.")
    return tuple(key.strip().split(".")), _scalar(value)


def _in_our_words(
    given: Mapping[tuple[str, ...], Any], known: Mapping[str, str], tell: Callable[[str], None]
) -> dict[tuple[str, ...], Any]:
    """Translate values in the words of courses and other libraries, and say what they are here.

    Raises:
        RecipeError: What is asked for is not there, or is said twice and differently.
    """
    ours = dict(given)
    for path, value in given.items():
        read = WORDS.get(".".join(path))
        if read is None or not isinstance(value, str):
            continue
        try:
            found = read(value)
        except ValueError as error:
            raise RecipeError(
                f"{path[-1]} = {shown(value)}: {error}.", "--help lists what each option takes."
            ) from None
        if found is None:
            continue
        says, defaults = (
            {_path((option,), known, tell): each for option, each in part.items()}
            for part in (found.given, found.defaults)
        )
        for option, each in says.items():
            if option in given and _scalar(_shown_value(given[option])) != each:
                raise RecipeError(
                    f"{value} says {option[-1]} = {each}, and {option[-1]} = {given[option]} is "
                    "given as well.",
                    "Leave one of them out.",
                )
        ours = {**defaults, **ours, **says, path: found.name}
        if says or defaults or spelling(value) != spelling(found.name or ""):
            further = {
                option: each for option, each in {**defaults, **says}.items() if option not in given
            }
            rest = (
                f" --{_flag(option, known)} {_shown_value(each)}"
                for option, each in further.items()
            )
            tell(f"{value.strip()} is Graft's --{_flag(path, known)} {found.name}{''.join(rest)}.")
    return ours


def _flag(path: tuple[str, ...], known: Mapping[str, str]) -> str:
    dotted = ".".join(path)
    return next(name for name, where in known.items() if where == dotted).replace("_", "-")


def _shown_value(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _name_weights(given: dict[tuple[str, ...], Any], tell: Callable[[str], None]) -> None:
    """Let published weights that are given by their name belong to the backbone's name."""
    weights, name = given.get(_WEIGHTS), given.get(_BACKBONE)
    if not isinstance(weights, str) or not is_weights_name(weights) or Path(weights).exists():
        return
    given[_BACKBONE] = named = published_weights(weights, name if name is None else str(name))
    given[_WEIGHTS] = None
    tell(f"--weights {weights} is Graft's --backbone {named}.")


_BACKBONE, _WEIGHTS = ("backbone", "name"), ("backbone", "weights")

_YIELDING = {"backbone.name": _WEIGHTS, "training.epochs": ("strategy", "phases")}
"""Options of presets that give way to another option."""


def _preset(given: Mapping[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
    name = given.get(("preset",))
    chosen = PRESETS.get(name, {}) if isinstance(name, str) else {}
    return {
        tuple(path.split(".")): value
        for path, value in chosen.items()
        if path not in _YIELDING or given.get(_YIELDING[path]) is None
    }


def _validated(recipe: type[AnyRecipe], tree: Mapping[str, Any]) -> AnyRecipe:
    """Turn nested data into a recipe.

    Raises:
        RecipeError: With the first thing that is wrong, and the nearest name of an unknown key.
    """
    try:
        return recipe.model_validate(tree)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise _unknown(path, paths(recipe)) from None
        message = first["msg"].removeprefix("Value error, ")
        if isinstance(first["input"], Mapping) and len(first["loc"]) < 2:
            raise RecipeError(f"These options exclude each other: {message}.") from None
        raise RecipeError(
            f"{path} = {shown(first['input'])}: {message[0].lower()}{message[1:]}.",
            "Correct the value; --help lists what each option takes.",
        ) from None


def read_yaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a recipe file as nested data.

    Raises:
        RecipeError: The file is missing, or not a mapping.
        DataError: It is not YAML of plain data within limits; see `parse_yaml`.
    """
    try:
        tree = parse_yaml(read_text(Path(path), MOST_YAML_BYTES))
    except OSError as error:
        raise RecipeError(
            f"The recipe '{path}' cannot be read: {error.strerror or error}.",
            "Give a YAML file; a run's recipe.yaml shows the form.",
        ) from error
    except ValueError as error:
        raise DataError(
            f"The recipe '{path}' cannot be read: {error}.",
            "Correct the file; a run's recipe.yaml shows the form.",
        ) from error
    if tree is None:
        return {}
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise RecipeError(
            f"The recipe '{path}' is not a mapping of sections.",
            "A run's recipe.yaml shows the form.",
        )
    return tree


def write_yaml(recipe: Section, path: str | os.PathLike[str]) -> None:
    """Write a resolved recipe, from which `--config` repeats the run."""
    with atomic_write(path) as temporary:
        temporary.write_text(
            yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
            encoding="utf-8",
        )


def _path(
    key: tuple[str, ...], known: Mapping[str, str], tell: Callable[[str], None]
) -> tuple[str, ...]:
    """Return where an option is, given its flag's name or its path, perhaps in other words.

    Raises:
        RecipeError: There is no such option.
    """
    *section, leaf = key
    dotted = ".".join(key)
    if leaf.lower() in MISSING:
        raise RecipeError(*MISSING[leaf.lower()])
    if dotted in known:
        return tuple(known[dotted].split("."))
    if dotted in known.values() or any(dotted.startswith(f"{path}.") for path in _OPEN):
        return key
    if any(path.startswith(f"{dotted}.") for path in known.values()):
        raise RecipeError(f"'{dotted}' must be a section of options.", "See a run's recipe.yaml.")
    option = OPTIONS.get(leaf.lower(), "")
    if option in known and known[option].startswith("".join(f"{part}." for part in section)):
        tell(f"{leaf} is Graft's --{option.replace('_', '-')}.")
        return tuple(known[option].split("."))
    raise _unknown(dotted, known)


_OPEN = ("head.options", "strategy.options")
"""Sections whose keys are declared by the heads and strategies of other packages."""


def _unknown(key: str, known: Mapping[str, str]) -> RecipeError:
    dotted = nearest(key, known.values()) if "." in key else nearest(key, known)
    return RecipeError(f"'{key}' is not an option.", f"Did you mean {dotted}?")


def _place(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *sections, leaf = path
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise RecipeError(f"'{section}' must be a section, not {shown(tree)}.")
    tree[leaf] = value


def _scalar(text: str) -> Any:
    try:
        return parse_yaml(text)
    except ValueError:
        return text
