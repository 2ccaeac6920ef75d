"""Names with arguments as other libraries write them, read without evaluating anything."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MOST_CHARACTERS = 2000


class _Unset:
    """Stands for a default that is not set, or for any value at all."""


UNSET = _Unset()


class Parameter(NamedTuple):
    """What an argument of another library's class sets here.

    Args:
        option: The name of the option or the place of the number it sets; None sets nothing.
        default: Their default, which is set as well; `UNSET` leaves ours. Where nothing is set, the
            only value that can be given, `UNSET` meaning any.
        convert: Turns the value into ours; raises `ValueError` where there is none.
    """

    option: str | None = None
    default: Any = UNSET
    convert: Any = None


IGNORED = Parameter()


@dataclass(frozen=True)
class Word:
    """What a name of another library is called here.

    Args:
        name: Our name; None where Graft does it anyway, so that nothing is to be set.
        takes: Their parameters in order.
    """

    name: str | None
    takes: Mapping[str, Parameter] = field(default_factory=dict)


class Call(NamedTuple):
    """A name, perhaps with arguments, such as `StepLR(step_size=7, gamma=0.1)`.

    Args:
        text: As it was written.
        name: Without the modules before it.
        arguments: Those without a name.
        named: Those with one.
        called: Whether there were parentheses.
    """

    text: str
    name: str
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    called: bool


def spelling(name: str) -> str:
    """Return a name without what people spell differently.

    Example:
        >>> spelling("ResNet-18") == spelling("resnet18"), spelling("Feature_Extraction")
        (True, 'featureextraction')
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def parse_call(text: str) -> Call:
    """Read a name with or without arguments, which are literals; nothing is evaluated.

    An argument without a value of its own in the first place, such as `optimizer` or
    `model.parameters()`, is left out.

    Raises:
        ValueError: It is no such thing.

    Example:
        >>> call = parse_call("transforms.RandomResizedCrop(224, scale=(0.08, 1))")
        >>> call.name, call.arguments, call.named
        ('RandomResizedCrop', (224,), {'scale': (0.08, 1)})
    """
    match = re.fullmatch(r"\s*([\w.-]+)\s*(?:\((.*)\))?\s*", text[:MOST_CHARACTERS], re.DOTALL)
    if match is None or len(text) > MOST_CHARACTERS:
        raise ValueError("write a name, or a name with arguments in parentheses")
    name, inside = match.groups()
    if inside is None:
        return Call(text.strip(), name, (), {}, called=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes and the like in somebody's words
            tree = _Quotients().visit(ast.parse(f"call({inside})", mode="eval")).body
        assert isinstance(tree, ast.Call)
        positional = list(tree.args)
        if positional and _stands_for_an_object(positional[0]):
            del positional[0]
        arguments = tuple(map(ast.literal_eval, positional))
        named = {str(each.arg): ast.literal_eval(each.value) for each in tree.keywords}
    except (SyntaxError, ValueError, TypeError, ArithmeticError, AssertionError, *_TOO_DEEP):
        raise ValueError("its arguments are not plain numbers, words and tuples") from None
    return Call(text.strip(), name.rpartition(".")[2], arguments, named, called=True)


def _stands_for_an_object(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr == "parameters"
    return isinstance(node, ast.Name | ast.Attribute)


_TOO_DEEP = (RecursionError, MemoryError)


class _Quotients(ast.NodeTransformer):
    """Turns the quotient of two numbers, such as 3/4, into a number."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        sides = node.left, node.right
        if isinstance(node.op, ast.Div) and all(isinstance(side, ast.Constant) for side in sides):
            return ast.Constant(ast.literal_eval(node.left) / ast.literal_eval(node.right))
        return node


def split_calls(text: str) -> list[str]:
    """Split at the commas outside parentheses.

    Example:
        >>> split_calls("RandomResizedCrop(224, scale=(0.08, 1)), hflip")
        ['RandomResizedCrop(224, scale=(0.08, 1))', 'hflip']
    """
    parts, depth, start = [], 0, 0
    for position, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


class Translation(NamedTuple):
    """What a call means here.

    Args:
        name: Our name; None where nothing is to be set.
        given: What its arguments set.
        defaults: What their defaults set, where nothing else does.
    """

    name: str | None
    given: dict[str, Any]
    defaults: dict[str, Any]


def translate(call: Call, words: Mapping[str, Word]) -> Translation | None:
    """Return what a call means; None where its name is not in the table.

    Raises:
        ValueError: It has an argument that has no meaning here.

    Example:
        >>> takes = {"step_size": Parameter("step_every"), "gamma": Parameter("step_factor", 0.1)}
        >>> translate(parse_call("StepLR(7)"), {"steplr": Word("step", takes)})
        Translation(name='step', given={'step_every': 7}, defaults={'step_factor': 0.1})
    """
    word = words.get(spelling(call.name))
    if word is None:
        return None
    if len(call.arguments) > len(word.takes):
        raise ValueError(f"{call.name} takes {len(word.takes)} arguments")
    values = dict(zip(word.takes, call.arguments, strict=False))
    own = {option for each in words.values() for option, *_ in each.takes.values()}
    given, defaults = {}, {}
    for name, value in [*values.items(), *call.named.items()]:
        parameter = word.takes.get(name, Parameter(name) if name in own else None)
        if parameter is None:
            takes = ", ".join(word.takes) or "no arguments"
            raise ValueError(f"{call.name} takes {takes}, and not {name}")
        if parameter.option is not None:
            given[parameter.option] = parameter.convert(value) if parameter.convert else value
        elif parameter.default is not UNSET and value != parameter.default:
            raise ValueError(f"the {name} of {call.name} is always {parameter.default} here")
    if call.called or spelling(call.name) != spelling(word.name or ""):
        defaults = {
            option: default
            for option, default, _ in word.takes.values()
            if option is not None and default is not UNSET and option not in given
        }
    return Translation(word.name, given, defaults)


def same_spelling(name: str, known: Iterable[str]) -> str | None:
    """Return the one known name that is spelled like `name`.

    Example:
        >>> same_spelling("EfficientNet-B0", ["efficientnet_b0", "efficientnet_b1"])
        'efficientnet_b0'
    """
    found = [each for each in known if spelling(each) == spelling(name)]
    return found[0] if len(found) == 1 else None
