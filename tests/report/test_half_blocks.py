from PIL import Image

from graft.report.images import half_blocks


def test_each_letter_shows_two_pixels_one_above_the_other(tmp_path):
    image = Image.new("RGB", (2, 2))
    for place, colour in (((0, 0), (255, 0, 0)), ((0, 1), (0, 0, 255)), ((1, 0), (0, 255, 0))):
        image.putpixel(place, colour)
    image.save(tmp_path / "a.png")
    drawn = half_blocks(tmp_path / "a.png", 2)
    assert drawn.plain == "▀▀"
    styles = [(span.style.color.triplet, span.style.bgcolor.triplet) for span in drawn.spans]
    assert styles == [((255, 0, 0), (0, 0, 255)), ((0, 255, 0), (0, 0, 0))]


def test_a_large_image_becomes_a_small_one(tmp_path):
    Image.new("L", (300, 500), 200).save(tmp_path / "a.png")
    lines = half_blocks(tmp_path / "a.png", 8).plain.splitlines()
    assert [len(line) for line in lines] == [8] * 4
