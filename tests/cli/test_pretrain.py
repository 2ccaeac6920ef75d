import json

SMALL = {
    "waves": 2,
    "superformulas": 1,
    "rosettes": 2,
    "fractals": 1,
    "strokes": 1,
    "textures": 3,
    "image-size": 16,
    "images": 32,
    "batch-size": 16,
    "epochs": 1,
    "workers": 0,
}
FLAGS = [word for name, value in SMALL.items() for word in (f"--{name}", value)]


def test_json_is_one_document_and_the_rest_goes_to_stderr(graft_cli, tmp_path):
    done = graft_cli("pretrain", "--out", tmp_path / "run", "--json", *FLAGS)
    assert done.code == 0
    assert json.loads(done.out)["method"] == "supervised"
    assert "graft fit DIR --backbone" in done.err
    assert "epoch   1 of 1" in done.err


def test_an_unknown_method_is_a_usage_error(graft_cli, tmp_path):
    done = graft_cli("pretrain", "--method", "byol", "--out", tmp_path / "run")
    assert done.code == 2
    assert "supervised" in done.err
    assert "Traceback" not in done.err
