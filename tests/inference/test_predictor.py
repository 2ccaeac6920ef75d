"""Promises of the predictor: made once, shared by threads, the same bits in any company."""

from __future__ import annotations

import copy
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from graft.backbones.load import load_backbone
from graft.errors import DataError, GraftError
from graft.heads.mlp import MLPHead
from graft.inference import Predictor, Unreadable, run
from graft.model import Classifier
from tests.inference.networks import randomise

SIDE = 32


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(0)
    backbone = load_backbone("squeezenet1_1", pretrained=False, image_size=SIDE)
    head = MLPHead(backbone.width, 3, (8,), normalization="batch", dropout=0.5)
    made = Classifier(backbone, head, ("a", "b", "c"))
    randomise(made)
    return made


@pytest.fixture(scope="module")
def photos(make_photo: Callable) -> list[Any]:
    return [make_photo(seed=seed) for seed in range(11)]


@pytest.mark.numeric
def test_one_number_alone_in_a_folder_in_validation_and_by_the_model(
    model: Classifier, photos: list[Any]
) -> None:
    validation = run(model, model.loader(photos, workers=1)).values

    with Predictor(model, workers=1) as predictor:
        whole, streamed = predictor.predict(photos), list(predictor.stream(photos))
        assert torch.equal(predictor.outputs(photos).values, validation)
        for size in (1, 2, 3, 5):
            parts = [photos[start : start + size] for start in range(0, 11, size)]
            values = torch.cat([predictor.outputs(part).values for part in parts])
            assert torch.equal(values, validation)

    assert [each.top for each in streamed] == [each.top for each in whole]
    assert [model.predict(photo)[0].top for photo in photos] == [each.top for each in whole]


def test_threads_get_the_answers_of_one(model: Classifier, photos: list[Any]) -> None:
    expected = [each.top for each in Predictor(model).predict(photos)]
    found: dict[int, list[Any]] = {}

    with Predictor(model, workers=2) as predictor:

        def work(number: int) -> None:
            size = number % 3 + 1
            parts = [photos[start : start + size] for start in range(0, 11, size)]
            found[number] = [each.top for part in parts for each in predictor.predict(part)]

        threads = [Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [found[number] for number in range(8)] == [expected] * 8


def test_what_becomes_of_the_model_changes_no_answer(model: Classifier, photos: list[Any]) -> None:
    predictor = Predictor(model)
    before = predictor.outputs(photos).values

    model.train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()

    assert torch.equal(predictor.outputs(photos).values, before)


def change_in_place(model: Classifier) -> None:
    with torch.no_grad():
        next(model.body.parameters()).mul_(2)


def change_data(model: Classifier) -> None:
    list(model.head.parameters())[-1].data = torch.tensor([9.0, -9.0, 0.0])


def change_state(model: Classifier) -> None:
    model.load_state_dict({name: each * 2 for name, each in model.state_dict().items()})


def change_statistics(model: Classifier) -> None:
    next(iter(each for each in model.head.modules() if isinstance(each, nn.BatchNorm1d))).train()(
        torch.rand(9, 8)
    )


def change_layer(model: Classifier) -> None:
    for parent in model.body.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                setattr(parent, name, nn.Tanh())


@pytest.mark.parametrize(
    "change", [change_in_place, change_data, change_state, change_statistics, change_layer]
)
def test_a_model_never_gives_a_stale_answer(
    model: Classifier, photos: list[Any], change: Callable[[Classifier], None]
) -> None:
    before = model.predict(photos)
    change(model)

    after = model.predict(photos)

    assert [each.top for each in after] == [each.top for each in Predictor(model).predict(photos)]
    assert [each.top for each in after] != [each.top for each in before]


def test_a_model_keeps_its_predictor_while_nothing_changes(
    model: Classifier, photos: list[Any]
) -> None:
    model.predict(photos[0])
    kept = model._predictor
    model.eval()
    model.predict(photos)

    assert model._predictor is kept
    assert copy.deepcopy(model).predict(photos)[0].top == model.predict(photos)[0].top


def test_images_that_cannot_be_read_are_named_in_their_place(
    model: Classifier, photos: list[Any], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    mixed = [broken] * 9 + [photos[0], broken, photos[1], broken]

    with Predictor(model, workers=1) as predictor:
        found = list(predictor.stream(mixed))
        expected = predictor.predict(photos[:2])
        with pytest.raises(DataError, match="broken"):
            predictor.predict(mixed)
        assert list(predictor.stream([])) == []

    assert [isinstance(each, Unreadable) for each in found] == [True] * 9 + [False, True] * 2
    assert [found[9].top, found[11].top] == [each.top for each in expected]
    assert found[0].path == str(broken)


def test_outputs_that_are_not_finite_are_an_error_that_names_the_image(
    model: Classifier, photos: list[Any]
) -> None:
    with torch.no_grad():
        list(model.head.parameters())[-1].fill_(float("nan"))

    with pytest.raises(DataError, match="outputs for 'image 0' are NaN or infinite"):
        model.predict(photos[:2])


def test_a_closed_predictor_says_so(model: Classifier, photos: list[Any]) -> None:
    with Predictor(model) as predictor:
        pass

    with pytest.raises(GraftError, match="closed"):
        predictor.predict(photos)


@contextmanager
def set_and_reset(setter: Callable[[Any], Any], value: Any, before: Any) -> Iterator[None]:
    setter(value)
    try:
        yield
    finally:
        setter(before)


@contextmanager
def deterministic() -> Iterator[None]:
    with set_and_reset(torch.use_deterministic_algorithms, True, False):
        yield


GUESTS: dict[str, Callable[[], Any]] = {
    "float64": lambda: set_and_reset(torch.set_default_dtype, torch.float64, torch.float32),
    "bfloat16": lambda: set_and_reset(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "another device": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic": deterministic,
}


@pytest.mark.parametrize("host", GUESTS)
@pytest.mark.parametrize("made", ["inside", "outside"])
def test_answers_are_right_whatever_the_host_has_set(
    model: Classifier, photos: list[Any], host: str, made: str
) -> None:
    expected = Predictor(model, workers=1).predict(photos[:3])
    numbers = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    outside = Predictor(model, workers=1)

    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("error")
        stack.enter_context(GUESTS[host]())
        predictor = Predictor(model, workers=1) if made == "inside" else outside
        found = predictor.predict(photos[:3])

    assert [each.top for each in found] == [each.top for each in expected]
    assert torch.equal(torch.random.get_rng_state(), numbers[0])
    assert np.random.get_state()[1].tolist() == numbers[1]


def test_gradients_flow_through_what_was_made_of_outputs(
    model: Classifier, photos: list[Any]
) -> None:
    values = Predictor(model).outputs(photos).values
    weight = torch.ones(3, requires_grad=True)

    (values @ weight).sum().backward()

    assert torch.allclose(weight.grad, values.sum(0))


MEMORY = """
import sys
from pathlib import Path
import numpy as np
from graft import Predictor
from graft.backbones.load import load_backbone
from graft.heads.linear import LinearHead
from graft.model import Classifier

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

backbone = load_backbone("graft-small", pretrained=False, image_size=32)
model = Classifier(backbone, LinearHead(backbone.width, 2), ("a", "b"))
photos = list(np.random.default_rng(0).integers(0, 255, (4, 60, 80, 3), dtype=np.uint8))
predictor = Predictor(model, workers=1)
for count in range(100):
    predictor.predict(photos[: count % 4 + 1])
before = resident()
for count in range(500):
    predictor.predict(photos[: count % 4 + 1])
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_five_hundred_calls_leave_no_memory_behind() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, timeout=120
    )

    assert int(done.stdout) < 20 * 2**20
