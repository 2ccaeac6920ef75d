"""Holds a broad list of networks to the promises of `proof`, and writes down who keeps them.

Run as `python -m tests.backbones.coverage`; it writes `docs/zoo-coverage.md`. The slow tests do the
same and fail where a network neither keeps its promises nor is refused in words.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tests.backbones import hugging_face, proof

from graft.backbones.backbone import Backbone
from graft.backbones.load import load_backbone
from graft.backbones.providers import find_provider
from graft.errors import GraftError

PER_FAMILY = 2  # of timm's families, one file each
SMALL = 12_000_000  # parameters up to which the numbers are compared as well
PAGE = Path(__file__).parents[2] / "docs" / "zoo-coverage.md"


@dataclass(frozen=True)
class Verdict:
    """What came of one network: "passes", "refused" with the reason, or "fails" with it."""

    name: str
    state: str
    stages: int = 0
    cut: bool = False
    reason: str = ""


def torchvision_names() -> list[str]:
    return [f"torchvision:{name}" for name in find_provider("torchvision").names()]


def timm_names() -> list[str]:
    """The smallest-named models of each of timm's families."""
    import timm

    families: dict[str, list[str]] = defaultdict(list)
    for name in timm.list_models():
        families[timm.models.model_entrypoint(name).__module__].append(name)
    tiny = ("atto", "femto", "pico", "nano", "tiny", "_s", "_050", "18", "b0", "xx")

    def size(name: str) -> tuple[bool, int, str]:
        return not any(word in name for word in tiny), len(name), name

    return [
        f"timm:{name}"
        for names in families.values()
        for name in sorted(names, key=size)[:PER_FAMILY]
    ]


def hf_names() -> list[str]:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

    kinds = {config.model_type for config in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING}
    return [f"hf:{kind}" for kind in sorted(kinds)]


def judge(name: str, folder: Path) -> Verdict:
    """Load one network without values, then with random ones if it is small."""
    provider, _, kind = name.partition(":")
    try:
        path = os.fspath(hugging_face.describe(folder / kind, kind)) if provider == "hf" else name
        backbone = load_backbone(path, meta=True)
    except GraftError as refusal:
        return Verdict(name, "refused", reason=refusal.problem)
    except Exception as error:
        return Verdict(name, "fails", reason=f"{type(error).__name__}: {error}")
    try:
        for promise in proof.LOOKS:
            promise(backbone)
        small = sum(p.numel() for p in backbone.module.parameters()) <= SMALL
        if small:
            _compare(load_backbone(path, pretrained=False))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip().partition("\n")[0]
        return Verdict(name, "fails", len(backbone.stages), reason=reason)
    return Verdict(name, "passes", len(backbone.stages), cut=small)


def _compare(backbone: Backbone) -> None:
    torch.manual_seed(0)
    proof.prefix_and_suffix_equal_the_whole(backbone)


def judge_all(names: Iterable[str]) -> Iterator[Verdict]:
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            yield judge(name, Path(folder))


def page(verdicts: list[Verdict]) -> str:
    """The table, and who is refused why, in Markdown."""
    lines = [
        "# Which networks Graft takes",
        "",
        "Written by `python -m tests.backbones.coverage`: torchvision's classifiers all, of timm "
        f"up to {PER_FAMILY} of each family, of transformers every type of image classifier. "
        "*Passes*: stages partition parameters and buffers, run in their order, are 3 to 14 in "
        "number, and the features have the promised width. *Cut*: those of up to "
        f"{SMALL // 10**6} million parameters, of which the part below a stage and the part above "
        "it, run one after the other, give the features of the whole.",
        "",
        "| provider | tried | pass | of these cut | refused in words | fail |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    providers = dict.fromkeys(verdict.name.partition(":")[0] for verdict in verdicts)
    for provider in providers:
        own = [verdict for verdict in verdicts if verdict.name.startswith(f"{provider}:")]
        count = {s: sum(v.state == s for v in own) for s in ("passes", "refused", "fails")}
        cut = sum(verdict.cut for verdict in own)
        lines.append(
            f"| {provider} | {len(own)} | {count['passes']} | {cut} | {count['refused']} "
            f"| {count['fails']} |"
        )
    for state, title in (("refused", "Refused"), ("fails", "Failing")):
        own = [verdict for verdict in verdicts if verdict.state == state]
        if own:
            lines += ["", f"## {title}", ""]
            lines += [f"- `{verdict.name}`: {verdict.reason}" for verdict in own]
    passing = (f"`{v.name}` ({v.stages})" for v in verdicts if v.state == "passes")
    return "\n".join([*lines, "", "## Passing, with their stages", "", ", ".join(passing), ""])


if __name__ == "__main__":
    found = []
    for verdict in judge_all([*torchvision_names(), *timm_names(), *hf_names()]):
        print(verdict, file=sys.stderr, flush=True)
        found.append(verdict)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(found), encoding="utf-8")
