"""Answers with a parameter that runs through the integers: its name is free, no other name is."""

import pytest

from grpo_core.rewards import math_equivalent

Z = r"\in \mathbb{Z}"
EQUAL = [
    (rf"\frac{{\pi}}{{4}} + n\pi, n {Z}", rf"x = \frac{{\pi}}{{4}} + k\pi, k {Z}"),
    (
        r"\frac{\pi}{6} + 2\pi n, \frac{5\pi}{6} + 2\pi n",
        rf"x = \frac{{\pi}}{{6}} + 2k\pi \text{{ or }} x = \frac{{5\pi}}{{6}} + 2k\pi, k {Z}",
    ),
    (rf"x = 2k \text{{ and }} y = 3k, k {Z}", rf"y = 3n, x = 2n, n {Z}"),
    (rf"x < 2k \text{{ or }} x > 3k, k {Z}", rf"x < 2n \text{{ or }} x > 3n, n {Z}"),
    (rf"2k\pi < x < \pi + 2k\pi, k {Z}", rf"2n\pi < x < \pi + 2n\pi, n {Z}"),
    (rf"x = 2n\pi, n {Z}", rf"x \in \{{2k\pi : k {Z}\}}"),
    (
        rf"x = ka, a \in \mathbb{{R}}, k {Z}",
        rf"x = na, n {Z}, a \in \mathbb{{R}}",
    ),
    (rf"x \in (2k\pi, 2k\pi + \pi), k {Z}", rf"x \in (2n\pi, 2n\pi + \pi), n {Z}"),
    # no one says that the parameter is whole, but an angle is a multiple of pi
    (r"x = n\pi", r"x = k\pi"),
    (r"x = 180^\circ n", r"x = 180^\circ k"),
    (r"\theta = \frac{n\pi}{2}", r"\theta = \frac{\pi k}{2}"),
    (r"x = n\pi, x = \frac{\pi}{3} + n\pi", r"x = \frac{\pi}{3} + k\pi, x = k\pi"),
]
DIFFERENT = [
    # another step, start or end
    (r"x = n\pi", r"x = 2k\pi"),
    (r"\theta = \frac{n\pi}{2}", r"\theta = \frac{k\pi}{3}"),
    (
        r"\frac{\pi}{6} + \pi n, \frac{5\pi}{6} + 2\pi n",
        rf"x = \frac{{\pi}}{{6}} + 2k\pi \text{{ or }} x = \frac{{5\pi}}{{6}} + 2k\pi, k {Z}",
    ),
    (
        rf"\frac{{\pi}}{{6}} + 2\pi n, n {Z}",
        rf"x = \frac{{\pi}}{{6}} + 2k\pi \text{{ or }} x = \frac{{5\pi}}{{6}} + 2k\pi, k {Z}",
    ),
    (rf"x < 2k \text{{ or }} x > 3k, k {Z}", rf"x < 2n \text{{ or }} x \ge 3n, n {Z}"),
    (rf"k {Z}, n {Z}", rf"n {Z}"),
    (r"x \in \mathbb{R}, y \in \mathbb{R}", r"y \in \mathbb{R}"),
    # of several names each has its own values
    (rf"x = 2k, y = 3k, k {Z}", rf"x = 3n, y = 2n, n {Z}"),
    (rf"x = 2k \text{{ and }} y = 3k, k {Z}", rf"x = 3n, y = 2n, n {Z}"),
    (
        r"x = \frac{\pi}{4} + k\pi, y = \frac{\pi}{3} + k\pi",
        r"x = \frac{\pi}{3} + n\pi, y = \frac{\pi}{4} + n\pi",
    ),
    # what is named is no parameter
    (r"x = n\pi", r"t = k\pi"),
    (r"x = \frac{\pi}{4} + n\pi", r"y = \frac{\pi}{4} + k\pi"),
    (rf"x = \frac{{\pi}}{{4}} + n\pi, n {Z}", rf"y = \frac{{\pi}}{{4}} + k\pi, k {Z}"),
    # a perimeter, say, of so many sides
    (r"n\pi", r"k\pi"),
    (r"P = n\pi", r"P = k\pi"),
    (r"x = n\pi", r"x = mk\pi"),
    (r"x = nr\pi", r"x = kr\pi"),
    ("x = n", "x = k"),
]


@pytest.mark.parametrize(("prediction", "reference"), EQUAL)
def test_a_family_may_name_its_parameter_as_it_likes(prediction, reference):
    assert math_equivalent(prediction, reference).reason == "correct"
    assert math_equivalent(reference, prediction).reason == "correct"


@pytest.mark.parametrize(("prediction", "reference"), DIFFERENT)
def test_another_family_is_different(prediction, reference):
    assert math_equivalent(prediction, reference).reason == "different"
    assert math_equivalent(reference, prediction).reason == "different"
