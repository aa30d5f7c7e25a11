"""What a worker decides about sums, products, integrals and limits, as trees built by hand."""

from fractions import Fraction

import pytest

from grpo_core.rewards import math_equivalent
from grpo_core.rewards._math import _judge
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._tree import (
    Apply,
    Bound,
    Call,
    Constant,
    Power,
    Product,
    Sum,
    Symbol,
    negative,
    over,
)
from grpo_core.rewards._math._written_out import MAX_TERMS, renamed, written_out

a, b, c, k, j, n, m, t, x, y = map(Symbol, "abckjnmtxy")
C = Symbol("C")
oo, pi, e = map(Constant, ("oo", "pi", "e"))


def number(value):
    return Number(Fraction(value))


zero, one, two, three, half = map(number, (0, 1, 2, 3, "1/2"))


def add(*items):
    return Sum(items)


def mul(*items):
    return Product(items)


def call(name, *items):
    return Call(name, items)


def sigma(body, variable, low, high):
    return Bound("sum", variable, low, high, body)


def product(body, variable, low, high):
    return Bound("prod", variable, low, high, body)


def integral(body, variable, low=None, high=None):
    return Bound("int", variable, low, high, body)


def limit(body, variable, point, side=None):
    return Bound("lim", variable, point, side, body)


def square(node):
    return Power(node, two)


def decided(first, second, rounding="strict"):
    answers = [
        _judge._POOL.ask(_judge._MODULE, "decide", *pair, rounding, 10.0, seconds=20)
        for pair in ((first, second), (second, first))
    ]
    assert answers[0].status == answers[1].status == "answered", answers
    assert answers[0].value == answers[1].value
    return answers[0].value


EQUAL = {
    "a sum written out": (sigma(square(k), k, one, number(10)), number(385)),
    "an empty sum": (sigma(k, k, one, zero), zero),
    "an empty product": (product(k, k, one, zero), one),
    "another name": (sigma(Apply("f", (k,)), k, one, n), sigma(Apply("f", (j,)), j, one, n)),
    "a formula": (sigma(k, k, one, n), over(mul(n, add(n, one)), two)),
    "with another symbol": (
        sigma(Power(x, k), k, zero, n),
        over(add(one, negative(Power(x, add(n, one)))), add(one, negative(x))),
    ),
    "two symbols that count": (
        sigma(sigma(mul(k, j), j, one, m), k, one, n),
        over(mul(n, add(n, one), m, add(m, one)), number(4)),
    ),
    "an inner sum to the outer name": (
        sigma(sigma(mul(k, j), j, one, k), k, one, three),
        number(25),
    ),
    "terms with a subscript": (
        sigma(Symbol("a_k"), k, one, three),
        add(*(Symbol(f"a_{place}") for place in (1, 2, 3))),
    ),
    "a factorial": (product(k, k, one, n), call("factorial", n)),
    "a million terms": (
        sigma(Power(k, three), k, one, number(10**6)),
        number(250000500000250000000000),
    ),
    "a series": (sigma(over(one, square(k)), k, one, oo), over(square(pi), number(6))),
    "a series that grows": (sigma(over(one, k), k, one, oo), oo),
    "a power series": (
        sigma(over(Power(x, n), call("factorial", n)), n, zero, oo),
        Power(e, x),
    ),
    "a series that converges for some": (
        sigma(Power(x, n), n, zero, oo),
        over(one, add(one, negative(x))),
    ),
    "an infinite product": (
        product(add(one, negative(over(one, square(k)))), k, two, oo),
        half,
    ),
    "an integral": (integral(square(x), x, zero, one), number("1/3")),
    "an integral to a symbol": (integral(x, x, zero, a), over(square(a), two)),
    "to the outer name": (
        integral(integral(y, y, zero, x), x, zero, one),
        number("1/6"),
    ),
    "shadowed names": (
        integral(add(x, integral(x, x, zero, one)), x, zero, one),
        one,
    ),
    "a Gaussian": (
        integral(Power(e, negative(square(x))), x, zero, oo),
        over(Power(pi, half), two),
    ),
    "where it converges": (
        integral(Power(e, negative(mul(a, x))), x, zero, oo),
        over(one, a),
    ),
    "by quadrature alone": (
        integral(call("log", call("sin", x)), x, zero, over(pi, two)),
        negative(over(mul(pi, call("log", two)), two)),
    ),
    "backwards": (integral(x, x, one, zero), number("-1/2")),
    "a family": (integral(mul(two, x), x), add(square(x), C)),
    "families": (integral(mul(two, x), x), integral(add(x, x), x)),
    "a family with its constant": (
        add(integral(call("cos", x), x), C),
        add(call("sin", x), C),
    ),
    "a family of real numbers": (
        integral(over(one, x), x),
        add(call("log", call("abs", x)), C),
    ),
    "a limit": (limit(over(call("sin", x), x), x, zero), one),
    "a limit far away": (limit(Power(add(one, over(one, n)), n), n, oo), e),
    "from the right": (limit(over(call("abs", x), x), x, zero, "+"), one),
    "from the left": (limit(over(call("abs", x), x), x, zero, "-"), negative(one)),
    "an infinite limit": (limit(over(one, x), x, zero, "+"), oo),
    "a derivative": (
        limit(over(add(square(add(x, a)), negative(square(x))), a), a, zero),
        mul(two, x),
    ),
}
DIFFERENT = {
    "a sum": (sigma(square(k), k, one, number(10)), number(384)),
    "a formula": (sigma(k, k, one, n), over(mul(n, add(n, two)), two)),
    "a name that is free": (sigma(k, k, one, n), sigma(k, k, one, m)),
    "a subscript that is bound": (sigma(Symbol("a_k"), k, one, n), mul(n, Symbol("a_k"))),
    "a series": (sigma(over(one, square(k)), k, one, oo), over(square(pi), number(5))),
    "a sign": (limit(over(one, x), x, zero, "+"), negative(oo)),
    "infinity": (sigma(over(one, k), k, one, oo), number(10)),
    "an integral": (integral(square(x), x, zero, one), number("1/4")),
    "a tenth digit": (integral(Power(x, x), x, zero, one), number("0.7834305107")),
    "a symbol below 0": (integral(call("abs", a), x, zero, one), a),
    "no constant": (integral(mul(two, x), x), square(x)),
    "a constant that is no constant": (
        integral(mul(c, x), x),
        over(mul(c, square(x)), two),
    ),
    "another variable": (integral(mul(two, x), x), add(Power(x, three), C)),
    "a limit": (limit(over(call("sin", x), x), x, zero), two),
    "a side": (limit(over(call("abs", x), x), x, zero, "-"), one),
}
UNDECIDED = {
    "a series without a value": (sigma(Power(number(-1), k), k, zero, oo), half),
    "an integral without a value": (integral(over(one, x), x, number(-1), one), zero),
    "a limit without a value": (limit(over(call("abs", x), x), x, zero), zero),
    "a wave": (limit(call("sin", x), x, oo), zero),
    "half a term": (sigma(k, k, one, number("5/2")), three),
    "names that are no value": (integral(Constant("R"), x, zero, one), one),
    "integers and not polynomials": (
        integral(call("gcd", mul(two, n), square(n)), x, zero, one),
        n,
    ),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_values(name):
    assert decided(*EQUAL[name]) is True


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_values(name):
    assert decided(*DIFFERENT[name]) is False


@pytest.mark.parametrize("name", UNDECIDED)
def test_undecided_values(name):
    assert decided(*UNDECIDED[name]) == "undecided"


def test_a_value_that_is_too_large_says_so():
    tower = Power(number(9), Power(number(9), number(9)))
    assert decided(integral(mul(x, tower), x, zero, one), one) == "too_large"


def test_a_decimal_stands_for_an_integral_as_far_as_asked():
    arc = integral(over(one, add(one, square(x))), x, zero, one)
    decimal = Number(Fraction("0.7853"), Fraction(1, 10_000), 4)
    assert decided(arc, decimal) is False
    assert decided(arc, decimal, 1e-3) is True
    assert decided(arc, decimal, 1e-5) is False


def test_a_verdict_is_the_same_before_and_after_others():
    before = decided(*EQUAL["where it converges"]), decided(*DIFFERENT["a symbol below 0"])
    for pair in (*UNDECIDED.values(), *DIFFERENT.values()):
        decided(*pair)
    after = decided(*EQUAL["where it converges"]), decided(*DIFFERENT["a symbol below 0"])
    assert before == after == (True, False)


def test_bound_names_are_renamed_from_within_and_free_ones_are_not():
    inner = integral(x, x, zero, x)
    assert renamed(inner) == integral(Symbol("#1"), Symbol("#1"), zero, x)
    assert renamed(sigma(mul(inner, x), x, one, n)) == sigma(
        mul(integral(Symbol("#1"), Symbol("#1"), zero, Symbol("#2")), Symbol("#2")),
        Symbol("#2"),
        one,
        n,
    )


def test_a_sum_of_many_terms_is_left_as_it_is():
    assert len(written_out(sigma(k, k, one, number(MAX_TERMS))).items) == MAX_TERMS
    for body, terms in ((k, MAX_TERMS + 1), (add(*[k] * 60), MAX_TERMS)):
        long = sigma(body, k, one, number(terms))
        assert written_out(long) == renamed(long)


def test_verdicts_go_both_ways():
    pairs = [
        (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}", 1.0),
        (r"\int_0^1 x^2 \, dx", r"\frac{1}{3}", 1.0),
        (r"\int_0^1 x^2 \, dx", r"\frac{1}{4}", 0.0),
        (r"(\int_0^1 x \, dx, 2)", r"(\frac{1}{2}, 2)", 1.0),
    ]
    for prediction, reference, score in pairs:
        assert math_equivalent(prediction, reference).score == score
        assert math_equivalent(reference, prediction).score == score
