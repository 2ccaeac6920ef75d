import hashlib

from benchmarks.synthetic import write_images


def test_every_synthetic_image_differs(tmp_path):
    paths = list(write_images(tmp_path / "images", 50).rglob("*.jpg"))
    assert len(paths) == 50
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in paths}) == 50
    assert sorted({path.parent.name for path in paths}) == ["bluish", "reddish"]
