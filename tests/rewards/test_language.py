"""Whether problem, thoughts and answer are in one language."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_core.rewards import verify_language
from grpo_core.rewards._words import words_of

CASES = Path(__file__).parents[3] / "shared" / "data" / "language_dev.jsonl"
PROBLEMS = {
    "en": "A farmer has twelve sheep and buys thirty more at the market. How many are there now?",
    "fr": "Un fermier possède douze moutons et en achète trente autres. Combien en a-t-il ?",
    "de": "Ein Bauer hat zwölf Schafe und kauft dreißig weitere dazu. Wie viele hat er jetzt?",
    "es": "Un granjero tiene doce ovejas y compra treinta más. ¿Cuántas ovejas tiene ahora?",
    "it": "Un contadino ha dodici pecore e ne compra altre trenta. Quante pecore ha adesso?",
    "ru": "У фермера двенадцать овец, и он покупает ещё тридцать. Сколько овец у него теперь?",
    "zh": "农夫有十二只羊,又买了三十只。现在一共有多少只羊?",
    "ja": "農夫は羊を十二匹持っていて、さらに三十匹買いました。今は何匹いますか。",
    "ko": "농부는 양 열두 마리를 가지고 있고 서른 마리를 더 샀습니다. 이제 몇 마리입니까?",
}
ANSWERS = {
    "en": "The answer is",
    "fr": "La réponse est",
    "de": "Die Antwort ist",
    "es": "La respuesta es",
    "it": "La risposta è",
    "ru": "Следовательно, ответ равен",
    "zh": "所以一共有这么多只羊",
    "ja": "答えは次のとおりです",
    "ko": "그러므로 정답은 다음과 같습니다",
}
fasttext = pytest.importorskip("fasttext", reason="the extra `language` is not installed")


def completion(thoughts, answer):
    return f"<think>{PROBLEMS[thoughts]} $12 + 30 = 42$</think>{ANSWERS[answer]} $\\boxed{{42}}$."


@pytest.mark.parametrize("language", PROBLEMS)
def test_one_language_throughout_is_correct(language):
    verdict = verify_language(completion(language, language), PROBLEMS[language])
    assert verdict.reason == "correct", verdict


@pytest.mark.parametrize("language", PROBLEMS)
@pytest.mark.parametrize("other", PROBLEMS)
def test_another_language_in_thoughts_or_answer_differs(language, other):
    if other != language:
        for text in (completion(other, language), completion(language, other)):
            assert verify_language(text, PROBLEMS[language]).reason == "different"


def test_the_development_triples():
    if not CASES.is_file():
        pytest.skip(f"no development cases at {CASES.name}: they are not part of the package")
    rows = [json.loads(line) for line in CASES.read_text().splitlines()]
    wrong = []
    for row in rows:
        text = f"<think>{row['thoughts']}</think>{row['answer']}"
        verdict = verify_language(text, row["problem"])
        if not row["contested"] and verdict.score != row["same_language"]:
            wrong.append((row["id"], verdict))
    assert sum(not row["contested"] for row in rows) >= 130
    assert wrong == []


def test_thoughts_without_words_inherit_or_differ():
    text = f"<think>$12 + 30 = 42$</think>{PROBLEMS['fr']}"
    assert verify_language(text, PROBLEMS["fr"]).reason == "correct"
    assert verify_language(text, PROBLEMS["fr"], no_evidence="differ").reason == "different"


def test_no_words_at_all_earn_nothing():
    verdict = verify_language(r"<think>$1+1$</think>\boxed{2}", PROBLEMS["en"])
    assert (verdict.score, verdict.reason) == (0.0, "no_evidence")


def test_a_problem_of_formulas_leaves_thoughts_and_answer_to_agree():
    assert verify_language(completion("de", "de"), "$x^2 = 4$").reason == "correct"
    assert verify_language(completion("de", "fr"), "$x^2 = 4$").reason == "different"


def test_few_letters_of_another_script_differ():
    text = f"<think>{PROBLEMS['zh']}</think>Shortened: $42$"
    assert verify_language(text, PROBLEMS["zh"]).reason == "different"
    assert verify_language(f"<think>{PROBLEMS['de']}</think>Shortened: $42$", PROBLEMS["de"]).score


def test_min_letters_and_min_probability_decide_what_is_evidence():
    def unsure(text):
        return ("fr" if "fleurs" in text else "en"), 0.6

    text = "<think>I have a garden that has many trees.</think>Beaucoup de fleurs partout ici"
    problem = "How many flowers are there in the garden?"
    assert verify_language(text, problem, model=unsure).reason == "different"
    assert verify_language(text, problem, model=unsure, min_probability=0.7).score == 0.0
    assert verify_language(text, problem, model=unsure, min_probability=0.7).reason == "no_evidence"
    assert verify_language(text, problem, model=unsure, min_letters=27).reason == "correct"


def test_croatian_and_serbian_are_one_language():
    def balkan(text):
        return ("hr" if "zbroj" in text else "sr"), 1.0

    text = "<think>Ovo je zbroj svih brojeva koje imamo.</think>Ovo je suma svih brojeva zajedno."
    assert verify_language(text, "Koliko je ukupno svih tih brojeva?", model=balkan).score == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It costs $5 and $6, then.", "It costs and then"),
        ("Let $x$ and $$y = 2$$ be \\(z\\) and \\[w\\] now", "Let and be and now"),
        ("Let \\begin{align} a &= b \\\\ \\begin{x}c\\end{x} \\end{align} hold", "Let hold"),
        ("So \\boxed{\\text{seven {big} apples}} it is", "So it is"),
        ("Use `print` and\n```python\nprint(1)\n```\nhere", "Use and\nhere".replace("\n", " ")),
        ("See https://example.org/a?b=c and me@example.org now", "See and now"),
        ("\\textbf{Answer}: it's 12 well-known", "it's well-known"),
        ("an unclosed \\begin{align} stays", "an unclosed stays"),
        ("a price of 5$ or 6$ in all", "a price of or in all"),
        ("नमस्ते दुनिया 12", "नमस्ते दुनिया"),
    ],
)
def test_what_is_no_word_is_taken_out(text, words):
    assert words_of(text) == words


@given(st.text(alphabet="$\\()[]{}`~ab \n1\ud800字あ", max_size=200), st.text(max_size=60))
def test_any_text_has_a_verdict(completion, problem):
    assert verify_language(completion, problem).score in (0.0, 1.0)


@pytest.mark.parametrize(
    "piece",
    ["$1 ", "$a", "$$", "\\[", "\\begin{a}", "\\boxed{", "`", "www.", "a@", "\\a{", "字", "🙂"],
)
def test_time_is_linear(piece):
    text = piece * (400_000 // len(piece))
    start = time.process_time()
    verify_language(text, "How many are there?", model=lambda _: ("en", 1.0))
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_letters": 0}, "min_letters must be at least 1, got 0"),
        ({"min_probability": 1.5}, r"min_probability must be in \[0, 1\], got 1.5"),
        ({"no_evidence": "maybe"}, "no_evidence must be one of 'inherit', 'differ', got 'maybe'"),
    ],
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        verify_language("a", "b", **options)


def test_wrong_types_and_paths_raise():
    with pytest.raises(TypeError, match="problem must be a str, got bytes"):
        verify_language("a", b"b")
    with pytest.raises(FileNotFoundError, match=r"no fastText model at .*nowhere.bin"):
        verify_language("a", "b", model="nowhere.bin")


def test_without_the_extra_the_error_names_it():
    script = (
        "import sys; sys.modules['fasttext'] = None\n"
        "from grpo_core.rewards import verify_language\n"
        "try: verify_language('a', 'b')\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "grpo_core[language]" in done.stdout


@pytest.mark.parametrize("style", ["pairs", "predict"])
def test_any_module_called_fasttext_works(style, tmp_path, monkeypatch):
    model_file = tmp_path / "model.bin"
    model_file.touch()

    class Inner:
        def predict(self, line, k, threshold, errors):
            assert line.endswith("\n") and line.count("\n") == 1
            return [(0.9, "__label__en")]

    class Model:
        if style == "pairs":
            f = Inner()

        def predict(self, line, k=1):
            assert style == "predict", "fasttext 0.9 raises here under numpy 2"
            return ("__label__en",), (0.9,)

    monkeypatch.setattr(fasttext, "load_model", lambda path: Model())
    verdict = verify_language(
        "The answer is known to everyone.", "What is the answer?", model=model_file
    )
    assert verdict.detail["answer"] == "en 0.90"
