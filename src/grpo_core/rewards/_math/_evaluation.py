"""The value of a SymPy expression, symbolic if it can be found in time, and how two differ."""

# SymPy has types in part.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import signal
from collections.abc import Callable
from time import monotonic
from typing import Any

import sympy as sp
from sympy.core.evalf import PrecisionExhausted

DIGITS = 30
MAX_DIGITS = 3_000
# Two values of which one is known by quadrature alone are one if they agree as far as this.
_CLOSE, _FAR = 1e-20, 1e-15
_CHECKED = 1e-6
_FLAT = (sp.tanh, sp.coth, sp.atan, sp.erf, sp.erfc, sp.zeta)
_TINY, _HUGE = 1e-9, 20
_FAINT = sp.Float(10) ** -1000  # a share of a sum that digits may miss
_LOOK_SECONDS = 0.02
_UNEVALUATED = (sp.Integral, sp.Sum, sp.Product, sp.Limit)
_NO_NUMBER = (sp.nan, sp.zoo, sp.AccumBounds)


class NoValue(Exception):  # noqa: N818 - no error: another point is tried
    """There is no value here, or none that can be relied on."""


class _Late(BaseException):
    """The time for one step is over. SymPy, which catches `Exception`, must not see it."""


def done(expression: Any) -> Any:
    """The expression with its sums, products, integrals and limits worked out, where SymPy can."""
    return _rewritten(expression, _limit_of_product).doit()


def _rewritten(expression: Any, change: Callable[[Any], Any]) -> Any:
    """The expression, with each of its infinite products changed."""
    products = [p for p in expression.atoms(sp.Product) if p.limits[-1][2] == sp.oo]
    return expression.xreplace({product: change(product) for product in products})


def _limit_of_product(product: Any) -> Any:
    """An infinite product, to which SymPy knows no way, as the limit of a finite one."""
    variable, low, _ = product.limits[-1]
    last = sp.Symbol("#", integer=True, positive=True)
    finite = sp.Product(product.function, (variable, low, last)).doit()
    return product if finite.has(sp.Product) else sp.Limit(sp.gammasimp(finite), last, sp.oo)


def _exponential_of_sum(product: Any) -> Any:
    return sp.exp(sp.Sum(sp.log(product.function), *product.limits))


def evaluated(expression: Any, deadline: float, way: Callable[[Any], Any] = done) -> Any:
    """The expression without its sums and integrals if half of the time is enough for it.

    `NoValue` if it has none, or if quadrature gives another.
    """
    try:
        found = _timely(deadline, way, expression)
    except _Late:
        return expression
    except (ValueError, TypeError, AttributeError, NotImplementedError, ZeroDivisionError):
        # Of a limit: there is none. Of the others: SymPy cannot say.
        if expression.has(sp.Limit):
            raise NoValue from None
        return expression
    if found.has(*_NO_NUMBER):
        raise NoValue
    if found.has(*_UNEVALUATED):
        return expression
    _check(expression, found, deadline)
    return found


def _check(expression: Any, found: Any, deadline: float) -> None:
    """SymPy's integrals are wrong at times: quadrature must not give another value."""
    if not expression.has(sp.Integral) or expression.free_symbols:
        return
    try:
        value = _timely(deadline, expression.evalf, 15, strict=True)
    except (_Late, *_FAILURES):
        return
    if not value.is_number or value.has(*_UNEVALUATED) or not found.is_finite:
        return
    if abs(value - found.evalf(15)) > _CHECKED * max(1, abs(value)):
        raise NoValue


def differ(first: Any, second: Any, deadline: float) -> bool:
    """Whether two constants differ; infinities are values. `NoValue` if it cannot be told."""
    for value in (first, second):
        if value.free_symbols or value.has(*_NO_NUMBER):
            raise NoValue
    if first == second:
        return False
    if first.is_infinite or second.is_infinite:
        if first.has(*_UNEVALUATED) or second.has(*_UNEVALUATED):
            raise NoValue
        return True
    if first.has(*_UNEVALUATED) or second.has(*_UNEVALUATED):
        a, b = number(first, deadline), number(second, deadline)
        gap, size = abs(a - b), max(abs(a), abs(b))
        if gap > _FAR * size:
            return True
        if gap <= _CLOSE * size:
            return False
        raise NoValue
    try:
        gap = _timely(deadline, (first - second).evalf, 15, maxn=MAX_DIGITS, strict=True)
        return bool(gap != 0)
    except PrecisionExhausted:  # no digit of so many tells them apart, if each term has a value
        if any(_is_flat(part, deadline) for part in (first - second).atoms(sp.Function)):
            raise NoValue from None
        terms = [abs(number(term, deadline)) for term in sp.Add.make_args(first - second)]
        if min(terms) < max(terms) * _FAINT:
            raise NoValue from None
        return False
    except (_Late, *_FAILURES):
        raise NoValue from None


def _is_flat(function: Any, deadline: float) -> bool:
    """Whether a function's argument is so large or small that its value may hide a difference."""
    sizes = [abs(number(each, deadline)) for each in function.args if each != 0]
    flat = isinstance(function, _FLAT)
    return any(size < _TINY or (flat and size > _HUGE) for size in sizes)


def number(expression: Any, deadline: float) -> Any:
    """The value to 30 digits, all of them right, or `NoValue`."""
    expression = _rewritten(expression, _exponential_of_sum)
    if expression.has(sp.Product, sp.Limit):  # extrapolated, without a bound on the error
        raise NoValue
    for each in expression.atoms(sp.Sum):
        if each.has_finite_limits is not True and not _converges(each, deadline):
            raise NoValue
    try:
        value = _timely(deadline, expression.evalf, DIGITS, strict=True)
    except (_Late, *_FAILURES):
        raise NoValue from None
    if not value.is_number or value.has(*_UNEVALUATED) or not value.is_finite:
        raise NoValue
    return value


def _converges(series: Any, deadline: float) -> bool:
    try:
        return _timely(deadline, series.is_convergent) == sp.true
    except (_Late, *_FAILURES):
        return False


_FAILURES = (
    PrecisionExhausted, ArithmeticError, ValueError, TypeError, AttributeError, NotImplementedError,
)  # fmt: skip


def _timely(deadline: float, way: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What `way` returns in half of the time that is left, or `_Late`.

    An alarm works since a worker has one thread; what it cannot interrupt, the caller kills.
    """
    now = monotonic()
    end: float | None = now + (deadline - now) / 2

    def look(*_: object) -> None:
        if end is not None and monotonic() >= end:
            raise _Late

    before = signal.signal(signal.SIGVTALRM, look)
    # The alarm counts this process's own time, of which others may leave it little: so look at the
    # clock now and then. Again and again, should a destructor swallow what is raised.
    signal.setitimer(signal.ITIMER_VIRTUAL, _LOOK_SECONDS, _LOOK_SECONDS)
    try:
        return way(*arguments, **options)
    finally:
        end = None
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
