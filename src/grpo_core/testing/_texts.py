"""Completions in one language, and in two."""

from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# Each says the same in the same order: a problem, thoughts, an answer; all well over 20 letters.
_TEXTS = {
    "en": (
        "How many apples does the farmer have after she has sold half of them at the market?",
        "First I count how many apples there were in the morning, then I take half of that number.",
        "The farmer still has half of her apples, because she has sold the other half.",
    ),
    "fr": (
        "Combien de pommes reste-t-il à la fermière après avoir vendu la moitié au marché ?",
        "Je compte d'abord les pommes du matin, puis je prends la moitié de ce nombre.",
        "Il reste à la fermière la moitié de ses pommes, car elle a vendu l'autre moitié.",
    ),
    "de": (
        "Wie viele Äpfel hat die Bäuerin noch, nachdem sie die Hälfte auf dem Markt verkauft hat?",
        "Zuerst zähle ich die Äpfel vom Morgen, dann nehme ich die Hälfte von dieser Zahl.",
        "Die Bäuerin hat noch die Hälfte ihrer Äpfel, weil sie die andere Hälfte verkauft hat.",
    ),
    "es": (
        "¿Cuántas manzanas le quedan a la campesina después de vender la mitad en el mercado?",
        "Primero cuento las manzanas que había por la mañana y luego tomo la mitad de ellas.",
        "A la campesina le queda la mitad de sus manzanas, porque ha vendido la otra mitad.",
    ),
    "ru": (
        "Сколько яблок осталось у фермера после того, как он продал половину на рынке?",
        "Сначала я считаю, сколько яблок было утром, а потом беру половину этого числа.",
        "У фермера осталась половина яблок, потому что другую половину он продал.",
    ),
    "zh": (
        "农夫在市场上卖掉了一半苹果以后，他还剩下多少个苹果？",
        "我先数一数早上一共有多少个苹果，然后取这个数的一半。",
        "农夫还剩下一半的苹果，因为另外一半已经在市场上卖掉了。",
    ),
    "ja": (
        "農家の人が市場でりんごの半分を売ったあと、りんごはいくつ残っていますか。",
        "まず朝にりんごがいくつあったかを数えて、それからその数の半分を取ります。",
        "もう半分を売ってしまったので、農家の人にはりんごの半分が残っています。",
    ),
}
_FORMULAS = ("", " $x = \\frac{6}{2}$", "\n```python\nprint(6 // 2)\n```\n", " \\boxed{3}")


class Bilingual(NamedTuple):
    """A problem, a completion, whether all is in one language, and in which each part is.

    Args:
        problem: The problem.
        completion: Thoughts and answer.
        same: Whether problem, thoughts and answer are in one language.
        languages: Of problem, thoughts and answer, as ISO 639-1 codes.
    """

    problem: str
    completion: str
    same: bool
    languages: tuple[str, str, str]


def bilingual_texts() -> SearchStrategy[Bilingual]:
    """Problems with completions in their language, or with thoughts or answer in another one.

    Each text is a whole sentence of English, French, German, Spanish, Russian, Chinese or Japanese;
    formulas and code, which are in no language, may stand beside it.

    Returns:
        The strategy. It shrinks to English throughout.

    Example:
        >>> from hypothesis import find
        >>> from grpo_core.testing import bilingual_texts
        >>> find(bilingual_texts(), lambda text: not text.same).languages
        ('en', 'en', 'fr')
    """
    formulas = st.sampled_from(_FORMULAS)
    return st.builds(_text, _languages(), formulas, formulas)


@st.composite
def _languages(draw: st.DrawFn) -> tuple[str, str, str]:
    one = draw(st.sampled_from(list(_TEXTS)))
    if draw(st.sampled_from([True, False])):
        return one, one, one
    two = draw(st.sampled_from([language for language in _TEXTS if language != one]))
    return draw(st.sampled_from([(one, one, two), (one, two, one), (one, two, two)]))


def _text(languages: tuple[str, str, str], first: str, last: str) -> Bilingual:
    problem, thoughts, answer = (_TEXTS[language][part] for part, language in enumerate(languages))
    completion = f"<think>{thoughts}{first}</think>{answer}{last}"
    return Bilingual(problem, completion, len({*languages}) == 1, languages)
