"""What kind of error a compiler met first, and in which line.

Its messages repeat the program's text, and what the program had it read: nothing of them leaves but
digits and a word of this list.
"""

import re

_WORDS: tuple[tuple[str, bytes], ...] = (
    ("include", rb"No such file|file not found|package \S{1,200} does not exist|unresolved import"),
    ("undeclared", rb"not declared|not been declared|undefined|does not name|cannot find"),
    ("redefined", rb"redefinition|redeclar|multiple definition|already defined|conflicting"),
    ("type", rb"cannot convert|no match|invalid conversion|mismatched|incompatible|cannot use"),
    ("syntax", rb"expected|syntax error|stray|unterminated|missing|unexpected|illegal start"),
)
_MOST_BYTES = 20_000
_MARK = re.compile(rb"error(?:\[E\d{4}\])?:|undefined reference|multiple definition")
_GO = re.compile(rb"^\./", re.MULTILINE)


def first_error(messages: bytes, source: str) -> tuple[str, int]:
    """The category of the first error, and the line of `source` it is in: 0 if not known."""
    head = messages[:_MOST_BYTES]
    name = re.escape(source.encode())
    if _GO.search(head):  # whose messages have no word for an error
        found = re.search(rb"^\./%s:(\d{1,7}):[^\n]*" % name, head, re.MULTILINE)
    else:
        found = _MARK.search(head)
    if found is None:
        return "other", 0
    begin = head.rfind(b"\n", 0, found.start()) + 1
    end = head.find(b"\n", found.start())
    text = head[begin:] if end < 0 else head[begin:end]
    category = next((name for name, words in _WORDS if re.search(words, text)), "other")
    arrow = re.match(rb"[^\n]*\n *--> %s:(\d{1,7}):" % name, head[begin:])  # of Rust
    at = re.match(rb"(?:\./)?%s:(\d{1,7}):" % name, text) or arrow
    return category, int(at[1]) if at else 0
