"""The program that an answer holds: its first fenced block, in the language of the fence."""

from collections.abc import Sequence
from dataclasses import dataclass

from grpo_core.rewards._code._languages import Language
from grpo_core.rewards._layout import answer_of, fences

MAX_CHARACTERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Program:
    """A source text of one language and, once it is compiled, what came of it."""

    language: Language
    source: bytes
    product: bytes = b""


def program_of(
    completion: str, required: Language | None, languages: Sequence[Language]
) -> Program | str:
    """The program, or a word for why there is none."""
    answer = answer_of(completion)
    if answer is None:
        return "tags"
    blocks = fences(answer)
    if not blocks:
        return "no_fence"
    block = blocks[0]
    if not block.closed:
        return "unclosed_fence"
    named = block.language.lower().strip("{}.")
    if named:
        known = [language for language in languages if named in language.names()]
        if not known:
            return "unknown_language"
        if required and required.name != known[0].name:
            return "other_language"
        language = required or known[0]
    elif required:
        language = required
    else:
        return "fence_without_language"
    opening, *lines = answer[block.start : block.end].splitlines(keepends=True)
    indent = len(opening) - len(opening.lstrip(" "))
    # CommonMark 4.5: a line of the block loses as much indentation as the fence has, if it has it.
    body = "".join(line[min(indent, len(line) - len(line.lstrip(" "))) :] for line in lines[:-1])
    if not body.strip():
        return "empty"
    if len(body) > MAX_CHARACTERS:
        return "too_large"
    return Program(language, body.encode("utf-8", "surrogatepass"))
