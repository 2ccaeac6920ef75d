"""What a command does not need is not loaded: most of a short run is imports otherwise."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.workflows.conftest import photos

__all__ = ["photos"]

SLOW = ["torch", "torchvision", "numpy", "scipy", "sklearn", "pandas", "PIL", "pydantic"]
OTHER = ["accelerate", "huggingface_hub", "jinja2", "vl_convert", "yaml", "safetensors"]
COMPILER = ["torch._dynamo", "torch._inductor", "torch.onnx", "sympy"]
LIBRARIES = ["timm", "transformers", "datasets"]


def loaded_after(code: str) -> set[str]:
    """Return the names of the modules that a new interpreter has loaded after some code."""
    show = "\nimport sys\nprint('\\n'.join(['', '--', *sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code + show], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("\n--\n")[1].split())


def test_importing_graft_loads_nothing_but_itself():
    assert not {*SLOW, *OTHER, "rich", "typer"} & loaded_after("import graft")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_load_nothing_slow(arguments):
    code = (
        "from graft.cli.main import main\n"
        f"try: main({arguments})\n"
        "except SystemExit as end: assert not end.code"
    )
    assert not {*SLOW, *OTHER} & loaded_after(code)


def test_the_help_of_fit_loads_no_torch():
    code = (
        "from graft.cli.main import main\n"
        "try: main(['fit', '--help'])\n"
        "except SystemExit as end: assert not end.code"
    )
    assert not {"torch", "torchvision", "numpy", "PIL", "scipy", "sklearn"} & loaded_after(code)


@pytest.mark.parametrize("module", ["graft.data.loader", "graft.model"])
def test_loading_images_needs_torch_but_neither_torchvision_nor_a_compiler(module):
    loaded = loaded_after(f"import {module}")
    assert "torch" in loaded
    unwanted = {"torchvision", *COMPILER, *LIBRARIES, "sklearn", "scipy", "pandas", "accelerate"}
    assert not unwanted & loaded


def test_fit_loads_what_it_needs_when_it_needs_it():
    loaded = loaded_after("import graft.workflows.fit")
    assert "torch" in loaded
    unwanted = {"torchvision", "sklearn", "scipy", "pandas", "accelerate", "jinja2", "vl_convert"}
    assert not {*unwanted, *COMPILER, *LIBRARIES, "huggingface_hub", "typer"} & loaded


@pytest.mark.parametrize("backbone", [None, "graft-small", "lite0"])
def test_a_probe_loads_nothing_that_only_training_needs(photos, tmp_path, backbone):
    code = (
        "import graft\n"
        f"graft.fit({str(photos)!r}, backbone={backbone!r}, image_size=16, "
        f"out={str(tmp_path / 'r')!r})"
    )
    unwanted = {"accelerate", "torchvision", "vl_convert", "sklearn", "scipy", "pandas", "timm"}
    assert not unwanted & loaded_after(code)
