"""Nothing that does not compile loads the compiler, and nobody misses it afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    """Run code in a fresh process and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


LOADED = "import sys; print('torch._dynamo' in sys.modules)"
LOAD = "import graft; b = graft.load_backbone('squeezenet1_1', pretrained=False, image_size=64)\n"


@pytest.mark.parametrize(
    "code",
    [
        LOAD,
        LOAD + "from graft.backbones.cut import Cut; print(Cut(b, 'stage2').shapes)\n",
        "import graft; graft.describe('mobilenet_v2')\n",
    ],
    ids=["load", "cut", "describe"],
)
def test_the_compiler_stays_unloaded(code):
    assert run(code + LOADED).split()[-1] == "False"


def test_the_compiler_works_afterwards():
    code = LOAD + (
        "import torch, torchvision\n"
        "print(torch.compile(lambda x: x + 1, backend='eager')(torch.ones(1)).item())\n"
        "boxes = torch.tensor([[0, 0, 0, 4, 4.0]])\n"
        "print(torchvision.ops.roi_align(torch.ones(1, 1, 8, 8), boxes, 1).item())\n"
        "print(type(sys.modules['torch._dynamo']).__name__)\n"
    )
    assert run("import sys\n" + code).split() == ["2.0", "1.0", "module"]


def test_functions_that_were_left_alone_are_marked_for_the_compiler_when_it_comes():
    code = (
        "import torch\n"
        "from graft.backbones.compiler import without_compiler\n"
        "from torch._compile import _disable_dynamo\n"
        "def f(x): return x\n"
        "g = _disable_dynamo(f)\n"
        "with without_compiler(): print(g(1), '__dynamo_disable' in vars(f))\n"
        "print('__dynamo_disable' in vars(f))\n"
        "print(g(2), '__dynamo_disable' in vars(f))\n"
    )
    assert run(code).split() == ["1", "True", "False", "2", "True"]


def test_a_stand_in_asks_the_compiler_what_it_cannot_answer():
    code = (
        "import torch\n"
        "from graft.backbones.compiler import without_compiler\n"
        "with without_compiler():\n"
        "    from torch._dynamo.utils import is_compile_supported\n"
        "    print(is_compile_supported('cpu'))\n"
        "print(is_compile_supported('cpu'))\n"
    )
    assert run(code).split() == ["True", "True"]


def test_a_compiler_that_is_there_is_used():
    code = (
        "import torch._dynamo, sys\n"
        "from graft.backbones.compiler import without_compiler\n"
        "with without_compiler(): print(type(sys.modules['torch._dynamo']).__name__)\n"
    )
    assert run(code).strip() == "module"


@pytest.mark.parametrize(
    "question", ["from torch._dynamo import config", "import torch._dynamo.config"]
)
def test_a_question_that_the_stand_in_cannot_answer_goes_to_the_compiler(question):
    code = (
        "from graft.backbones.compiler import without_compiler\n"
        "with without_compiler():\n"
        f"    {question}\n"
        "    print('here')\n"
    )
    assert run(code).strip() == "here"
