"""A good guest: the same answers in whatever state the host is, and that state back afterwards."""

from __future__ import annotations

import ast
import os
import random
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from torch import nn

import graft
from graft.backbones.build import build_without_values
from graft.host import isolated
from tests.workflows.conftest import photos

__all__ = ["photos"]

SMALL = {"backbone": "graft-small", "image_size": 16, "cache": "off", "workers": 1}
TRAINED = {**SMALL, "strategy": "full", "epochs": 1, "batch_size": 8}


def dtype(wanted):
    def enter(stack):
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(wanted)

    return enter


def device(wanted):
    def enter(stack):
        stack.callback(torch.set_default_device, None)
        torch.set_default_device(wanted)

    return enter


def deterministic(stack):
    stack.callback(torch.use_deterministic_algorithms, False)
    torch.use_deterministic_algorithms(True)


HOSTS = {
    "float64": dtype(torch.float64),
    "bfloat16": dtype(torch.bfloat16),
    "on meta": device("meta"),
    "no grad": lambda stack: stack.enter_context(torch.no_grad()),
    "inference mode": lambda stack: stack.enter_context(torch.inference_mode()),
    "autocast": lambda stack: stack.enter_context(torch.autocast("cpu", torch.bfloat16)),
    "deterministic": deterministic,
}


@pytest.fixture(params=HOSTS)
def host(request):
    """Another state of the host than the usual one."""
    with ExitStack() as stack:
        HOSTS[request.param](stack)
        yield request.param


@pytest.fixture(scope="module")
def usual(photos, tmp_path_factory):
    """A run in the usual state: its folder, its images, and what is said of them."""
    folder = tmp_path_factory.mktemp("usual") / "run"
    graft.fit(photos, out=folder, **TRAINED)
    images = sorted((photos / "val").rglob("*.png"))
    return folder, images, list(graft.predict(folder, images)), graft.evaluate(folder, photos)


def test_inside_the_usual_settings_hold_and_afterwards_those_of_the_host(host):
    def settings():
        modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        defaults = torch.get_default_dtype(), torch.get_default_device()
        return *modes, *defaults, torch.is_autocast_enabled("cpu")

    before = settings()
    with isolated():
        matrix = torch.ones(2, 2, requires_grad=True)
        product = matrix @ matrix
    assert settings() == before
    assert (product.dtype, product.device.type) == (torch.float32, "cpu")
    assert product.requires_grad
    assert not product.is_inference()


def test_fit_gives_the_same_weights(photos, usual, host, tmp_path):
    graft.fit(photos, out=tmp_path / "run", **TRAINED)
    ours, theirs = (run / "model/model.safetensors" for run in (tmp_path / "run", usual[0]))
    assert ours.read_bytes() == theirs.read_bytes()


def test_a_saved_model_gives_the_same_answers(photos, usual, host):
    folder, images, predictions, scores = usual
    assert list(graft.predict(folder, images)) == predictions
    assert graft.load(folder).predict(images) == predictions
    assert graft.evaluate(folder, photos) == scores


def test_a_backbone_is_loaded_the_same(host):
    with isolated():
        expected = graft.load_backbone("graft-small").module.state_dict()
    found = graft.load_backbone("graft-small").module.state_dict()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].device == tensor.device
        assert torch.equal(found[name], tensor)


@pytest.mark.slow
def test_pre_training_gives_the_same_weights(tmp_path):
    flags = {"backbone": "graft-small", "start": "random", "images": 64, "image_size": 16}
    weights = []
    for states in ((), ("no grad", "inference mode", "autocast", "float64", "on meta")):
        with ExitStack() as stack:
            for name in states:
                HOSTS[name](stack)
            out = tmp_path / str(len(states))
            graft.pretrain(out=out, epochs=1, batch_size=32, workers=1, **flags)
        weights.append((out / "model/model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_the_random_generators_of_the_host_go_on_where_they_were():
    def draw():
        return random.random(), np.random.random(), torch.rand(1).item()

    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    expected = draw()
    for restore, state in zip(
        (random.setstate, np.random.set_state, torch.set_rng_state), before, strict=True
    ):
        restore(state)
    with isolated():
        draw()
    assert draw() == expected


def test_a_generator_leaves_the_host_alone_between_its_steps(usual):
    folder, images, predictions, _ = usual
    with torch.no_grad():
        for found, expected in zip(graft.predict(folder, images), predictions, strict=True):
            assert not torch.is_grad_enabled()
            assert found == expected


STATE = """
import gc, locale, logging, os, random, signal, sys, warnings
import numpy as np, torch, PIL.Image, PIL.ImageFile
import graft
os.environ.pop("GRAFT_CACHE", None)

def state():
    return {
        "random": random.getstate(),
        "numpy": str(np.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "modes": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "autocast": torch.is_autocast_enabled("cpu"),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "mkldnn": torch.backends.mkldnn.enabled,
        "warnings": list(warnings.filters),
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "streams": (sys.stdout, sys.stderr, os.fstat(1), os.fstat(2)),
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "garbage": (gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()),
        "hooks": (sys.excepthook, sys.gettrace(), sys.getprofile(), sys.getrecursionlimit()),
        "path": list(sys.path),
        "locale": locale.setlocale(locale.LC_ALL),
        "pillow": (PIL.Image.MAX_IMAGE_PIXELS, PIL.ImageFile.LOAD_TRUNCATED_IMAGES),
    }

torch.manual_seed(7); random.seed(7); np.random.seed(7)
def unchanged(what, do):
    before = state()
    done = do()
    after = state()
    for name in before:
        assert name == "streams" or before[name] == after[name], (what, name)
    assert before["streams"][:2] == after["streams"][:2]
    for then, now in zip(before["streams"][2:], after["streams"][2:]):
        assert (then.st_dev, then.st_ino) == (now.st_dev, now.st_ino), what
    return done

# What others change or warn of when they are imported is theirs.
import torch._dynamo, sklearn, torchvision
warnings.simplefilter("error")
"""


def run(code, *options):
    done = subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_the_host_has_set_is_as_before_and_warnings_that_are_errors_stop_nothing(
    photos, usual, tmp_path
):
    folder, images, *_ = usual
    small, photos, out = dict(TRAINED), str(photos), str(tmp_path / "run")
    run(
        STATE + f"images = {[str(image) for image in images]!r}\n"
        f"unchanged('fit', lambda: graft.fit({photos!r}, out={out!r}, **{small!r}))\n"
        f"unchanged('load', lambda: graft.load({str(folder)!r}).predict(images))\n"
        f"unchanged('predict', lambda: list(graft.predict({str(folder)!r}, images)))\n"
        f"unchanged('evaluate', lambda: graft.evaluate({str(folder)!r}, {photos!r}))\n"
        "unchanged('backbone', lambda: graft.load_backbone('resnet18', pretrained=False))\n"
    )


def test_importing_graft_changes_nothing():
    run(
        "import os, sys, gc, random, signal, threading, warnings\n"
        "def state(): return (dict(os.environ), list(sys.path), gc.get_threshold(),\n"
        "    random.getstate(), list(warnings.filters), sys.excepthook, os.getcwd(),\n"
        "    [signal.getsignal(n) for n in signal.valid_signals()], threading.active_count(),\n"
        "    list(sys.meta_path), sorted(set(sys.modules) & {'torch', 'numpy'}))\n"
        "before = state()\n"
        "import graft\n"
        "assert state() == before\n"
    )


def test_networks_that_another_thread_makes_meanwhile_keep_their_values():
    made = []

    class Provider:
        @staticmethod
        def build(architecture):
            other = Thread(target=lambda: made.append(nn.Linear(2, 2)))
            other.start()
            other.join()
            return nn.Linear(2, 2)

    assert build_without_values(Provider, {}).weight.is_meta
    assert not made[0].weight.is_meta


def test_nothing_private_of_another_package_is_touched_and_no_module_replaced():
    """Outside of cli, which has a process of its own, no name with a leading "_" is another's."""
    found = []
    package = Path(graft.__file__).parent
    for file in sorted(set(package.rglob("*.py")) - set(package.glob("cli/*"))):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        theirs = {
            (alias.asname or alias.name).partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            and not (getattr(node, "module", "") or "").startswith("graft")
            for alias in node.names
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute):
                continue
            private = node.attr.startswith("_") and not node.attr.endswith("__")
            root = node
            while isinstance(root, ast.Attribute | ast.Call):
                root = root.value if isinstance(root, ast.Attribute) else root.func
            foreign = isinstance(root, ast.Name) and root.id in theirs
            replaces = ast.unparse(node) in ("sys.modules", "os.dup2", "os.dup")
            if (private and foreign) or replaces or node.attr in ("_metadata", "_reset_state"):
                found.append(f"{file.name}:{node.lineno} {ast.unparse(node)}")
    assert found == []


FORK = """
import os, sys, warnings
import graft
photos, folder, images = sys.argv[1], sys.argv[2], sys.argv[3:]
options = dict(backbone="graft-small", image_size=64, cache="off", workers=1, strategy="full")
graft.fit(photos, out=folder + "/parent", epochs=1, **options)
model = graft.load(folder + "/parent")
right = [each.label for each in model.predict(images)]
child = os.fork()
if child == 0:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert [each.label for each in model.predict(images)] == right
        assert [each.label for each in graft.predict(folder + "/parent", images)] == right
        graft.fit(photos, out=folder + "/child", epochs=1, **options)
    found = [each for each in told if "spawn" in str(each.message)]
    os._exit(0 if len(found) == 1 else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_fork_of_a_process_that_has_computed_goes_on_with_one_thread(photos, tmp_path):
    images = [str(path) for path in sorted((photos / "val").rglob("*.png"))]
    with subprocess.Popen(
        [sys.executable, "-c", FORK, photos, tmp_path, *images],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            _, errors = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            pytest.fail("the fork hangs")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, errors.decode()
    assert (tmp_path / "child" / "report.html").is_file()
