r"""What stands between `\begin` and `\end`: matrices, determinants, cases, and systems."""

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._expressions import Expressions
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._tokens import END
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._vectors import determinant

_CONDITIONS = (tree.Relation, tree.Text, tree.Combination)
_EQUATIONS = (tree.Relation, tree.Definition)
_SYSTEMS = frozenset(("aligned", "align", "align*", "gathered", "gather", "gather*", "split"))


def environment(reader: Expressions, _: str, __: int) -> Answer:
    r"""The node of an environment whose `\begin` is read."""
    name = _name(reader)
    if name == "array":
        _skip_columns(reader)
    elif not (name in ("cases", "dcases") or name in _SYSTEMS or name.endswith("matrix")):
        raise Unread("unparsable")
    rows: list[tuple[Answer, ...]] = []
    while not reader.take("end"):
        rows.append(_system_row(reader) if name in _SYSTEMS else _row(reader, name))
        if not reader.take("row") and not reader.next_is("end"):
            raise Unread("unparsable")
    if _name(reader) != name or not rows or len({len(row) for row in rows}) != 1:
        raise Unread("unparsable")
    if len(rows[0]) == 1 and (name in _SYSTEMS or all(isinstance(r[0], _EQUATIONS) for r in rows)):
        return _system(tuple(row[0] for row in rows))
    if name in ("cases", "dcases"):
        return _cases(rows)
    if name == "vmatrix":
        return determinant(tuple(rows))
    if name == "Vmatrix" or name in _SYSTEMS:
        raise Unread("unparsable")
    return tree.Matrix(tuple(rows))


def _system(items: tuple[Answer, ...]) -> Answer:
    return items[0] if len(items) == 1 else tree.List(items)


def _cases(rows: list[tuple[Answer, ...]]) -> Answer:
    if len(rows[0]) != 2 or not all(isinstance(condition, _CONDITIONS) for _, condition in rows):
        raise Unread("unparsable")
    return tree.Call("cases", tuple(item for row in rows for item in row))


def _name(reader: Expressions) -> str:
    reader.expect("group(")
    name = ""
    while not reader.take(")group"):
        if reader.peek() is END:
            raise Unread("unparsable")
        name += reader.peek().text
        reader.at += 1
    return name


def _skip_columns(reader: Expressions) -> None:
    reader.expect("group(")
    while not reader.take(")group"):
        if reader.peek() is END:
            raise Unread("unparsable")
        reader.at += 1


def _row(reader: Expressions, name: str) -> tuple[Answer, ...]:
    row = [reader.expression()]
    reader.take(",")
    while reader.take("&"):
        row.append(_condition(reader) if "cases" in name else reader.expression())
    return tuple(row)


def _system_row(reader: Expressions) -> tuple[Answer, ...]:
    """One row of a system, in which `&` only sets the place."""
    place, depth = reader.at, 0
    while reader.peek() is not END:
        token = reader.peek()
        depth += (token.text == "begin") - (token.text == "end")
        if (token.text == "row" and depth == 0) or depth < 0:
            break
        if token.text == "&" and depth == 0:
            del reader.tokens[reader.at]
        else:
            reader.at += 1
    reader.at = place
    item = reader.expression()
    reader.take(",", ".", ";")
    return (item,)


def _condition(reader: Expressions) -> Answer:
    """When a case holds; `otherwise` always does."""
    words: list[str] = []
    while reader.peek().kind == "word":
        words.append(reader.peek().text.casefold())
        reader.at += 1
    if words in (["otherwise"], ["else"]):
        reader.take(".", ",")
        return tree.Text(("otherwise",))
    if words not in ([], ["if"], ["for"], ["when"]):
        raise Unread("unparsable")
    condition = reader.expression()
    if reader.peek().kind == "word" and reader.peek().text == "is":
        reader.at += 1
    parity = reader.peek().text
    if reader.peek().kind == "word" and parity in ("odd", "even"):
        reader.at += 1
        rest = tree.ONE if parity == "odd" else tree.ZERO
        condition = tree.Relation(("in",), (condition, tree.Residue(rest, tree.TWO)))
    reader.take(",", ".", ";")
    return condition
