import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from memspan.figures.losses import Curve, LossByLength, draw_losses
from memspan.figures.svg import SVG, drawn, inline, name_artist

RECORD = LossByLength(
    "a <title>",
    {5: (Curve((1.0, 2.0), (0.3, 0.1), "solved", 0), Curve((1.0, 2.0), (0.3, 0.33), "unsolved", 1))},
    {5: 1 / 3},
    "a loss",
)


def figure_of(name="a", size=3):
    figure = Figure(figsize=(size, 2))
    (line,) = figure.subplots().plot([1, 2, 3], np.random.default_rng(0).random(3))
    name_artist(line, name)
    return figure


def test_text_is_text_and_curves_have_their_names():
    root = ElementTree.fromstring(drawn(draw_losses, RECORD, "Losses"))
    texts = ["".join(text.itertext()) for text in root.iter(f"{{{SVG}}}text")]
    assert "a <title>" in texts
    assert "update" in texts
    groups = [group for group in root.iter(f"{{{SVG}}}g") if group.get("class") == "named"]
    assert [group[0].text for group in groups] == ["T = 5, repetition 1: unsolved", "T = 5, repetition 0: solved"]
    assert [group.get("aria-label") for group in groups] == [group[0].text for group in groups]


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "\"&'", "T = 5 ü, 100 %"])
def test_a_hostile_name_is_text(name):
    root = ElementTree.fromstring(inline(figure_of(name), name))
    (group,) = [group for group in root.iter() if group.get("class") == "named"]
    assert group.get("aria-label") == group[0].text == root.get("aria-label") == name
    assert not [one for one in root.iter() if "img" in one.tag]


def test_pictures_of_one_page_share_no_id_and_all_references_lead_to_one():
    pictures = [inline(figure_of(size=size), "x") for size in (3, 4)]
    ids = [re.findall(r' id="([^"]+)"', picture) for picture in pictures]
    for picture, own in zip(pictures, ids, strict=True):
        assert own
        assert len(set(own)) == len(own)
        assert {*re.findall(r'(?:url\(|href=")#([^")]+)', picture)} == {*own}
    assert not {*ids[0]} & {*ids[1]}


def test_nothing_of_the_picture_concerns_the_page():
    picture = inline(figure_of(), "x")
    assert not re.search(r"<style|<metadata|<!DOCTYPE|<\?xml|xlink|http(?!://www.w3.org/2000/svg)", picture)
    assert 'style="--width: 216pt; ' in picture
    assert re.match(r'<svg [^>]*viewBox="0 0 216 144"', picture)
    assert not re.search(r' (width|height)="[^"]*"', picture.partition(">")[0])


def test_coordinates_are_rounded_to_a_hundredth_of_a_point():
    picture = inline(figure_of(), "x")
    assert not re.search(r"\d\.\d{3}", picture)
    precise = Figure(figsize=(3, 2))
    precise.subplots().plot([1, 2, 3], [0.1, 1, 0.3])
    assert len(inline(precise, "x")) < 20_000


def test_a_picture_is_the_same_each_time():
    assert inline(figure_of(), "x") == inline(figure_of(), "x")
    assert drawn(draw_losses, RECORD, "x") == drawn(draw_losses, RECORD, "x")
