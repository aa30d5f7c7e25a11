"""One answer said in other words, and words that say another one."""

import pytest

from grpo_core.rewards import math_equivalent

EQUAL = [
    # one number, said twice
    (r"\frac{3}{8} \text{ or } 0.375", r"\frac38"),
    (r"0.375 \text{ or } 37.5\%", r"\frac38"),
    (r"20 \text{ (twenty)}", "20"),
    ("14 (fourteen)", "14"),
    # a comma or semicolon too many
    ("50,", "50"),
    ("50;", "50"),
    ("(1, 2),", "(1, 2)"),
    # what a bracket holds is said before it
    (r"\text{The point } (0,2)", "(0, 2)"),
    (r"\text{the ordered pair } \left(0, 2\right)", "(0, 2)"),
    (r"\text{The interval } [0,2)", "[0, 2)"),
    # two amounts, the second of less than one of the first
    (r"5 \text{ dollars and } 50 \text{ cents}", "5.50"),
    (r"2 \text{ minutes and } 30 \text{ seconds}", r"2.5 \text{ minutes}"),
    (r"5 \text{ pounds } 3 \text{ ounces}", r"83 \text{ ounces}"),
    (r"3 \text{ hours and } 5 \text{ hours}", "3, 5"),
    (r"3 \text{ hours and } 75 \text{ minutes}", r"3 \text{ hours}, 75 \text{ minutes}"),
    # words
    (r"\text{negative three}", "-3"),
    ("minus twenty-one", "-21"),
    (r"3 \text{ out of } 8", r"\frac38"),
    ("3 out of 8", "3/8"),
    (r"{}^{10}C_3", "120"),
    (r"^{10}P_3", "720"),
    # a letter that is another index, or said to be real
    ("a_n = 2n - 1", "a_k = 2k - 1"),
    (r"f(x) = ax, a \in \mathbb{R}", "f(x) = ax"),
    (r"\gcd(m, n)", r"\gcd(n, m)"),
    (r"2 + \operatorname{lcm}(a, b)", r"\operatorname{lcm}(b, a) + 2"),
    (r"\max\{a, b\}", r"\max(b, a)"),
    # what is named
    (r"\text{p + q = } 73", "73"),
    (r"\text{(A), (C)}", "A, C"),
    (r"\text{(A) and (C)}", "A, C"),
    (r"f^{-1}(x) = \frac{x+2}{7}", r"\frac{x+2}{7}"),
    (r"f^{-1}(x) = \frac{x+2}{7}", r"f^{-1}(t) = \frac{t+2}{7}"),
    (r"A \cap B = \{1\}", r"\{1\}"),
    (r"f(x) = x+1, \forall x \in \mathbb{R}", "f(x) = x+1"),
    # what is set and not said
    (r"5 {\rm cm}", r"5 \text{ cm}"),
    (r"5 \rm cm", r"5 \text{ cm}"),
    (r"{\bf 5}", "5"),
    (r"\mathsf{x} + \mathtt{1}", "x + 1"),
    (r"\emph{Alice}", r"\text{Alice}"),
    (r"\texttt{yes}", r"\text{yes}"),
    (r"5 \tag{1}", "5"),
    (r"5\phantom{6}", "5"),
    (r"\scriptstyle 5 \hspace{1cm}", "5"),
    # plain text, and what code prints
    ("10 square cm", r"10 \text{ cm}^2"),
    ("3/4 cup", r"\frac34"),
    ("3.0 x 10^8 m/s", r"3 \times 10^8 \text{ m/s}"),
    ("log2(3)", r"\log_2 3"),
    ("$**5**$", "5"),
    ("$__0__$", "__0__"),
    ("2 +/- sqrt(3)", r"2 \pm \sqrt{3}"),
    ("Matrix([[1, 2], [3, 4]])", r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"),
    # notation of other countries
    ("C_5^2", "10"),
    (r"A_{5}^{2}", "20"),
    (r"\frac{C_5^2}{C_{10}^2}", r"\frac29"),
    (r"\left\{\begin{array}{l}x=2\\y=3\end{array}\right.", "x=2, y=3"),
    (r"\left\{\begin{array}{ll}x, & x \ge 0\\-x, & x < 0\end{array}\right.", "|x|"),
    (r"\left\{ \begin{aligned} x &= 2 \\ y &= 3 \end{aligned} \right.", "x=2, y=3"),
]
DIFFERENT = [
    (r"\frac{3}{8} \text{ or } 0.376", r"\frac38"),
    (r"\frac13 \text{ or } 0.333", r"\frac13"),
    (r"3 \text{ or } 4", "3"),
    ("3, 3", "3"),
    (r"20 \text{ (thirty)}", "20"),
    (r"20 \text{ (twenty or so)}", "20"),
    ("14 (fifteen)", "14"),
    ("14 (fourteen)", "196"),
    ("50,,", "50"),
    (",50", "50"),
    ("50, 60", "50"),
    (r"\text{not the point } (0,2)", "(0, 2)"),
    (r"\text{The point } (0,2)", "(2, 0)"),
    (r"\text{The interval } [0,2)", "(0, 2)"),
    (r"5 \text{ dollars and } 5 \text{ cents}", "5.5"),
    (r"2 \text{ minutes and } 30 \text{ seconds}", r"2.3 \text{ minutes}"),
    (r"3 \text{ hours and } 5 \text{ hours}", "8"),
    (r"3 \text{ dollars and } 5 \text{ minutes}", "3"),
    (r"5 \text{ m and } 20 \text{ cm}", r"5.2 \text{ m}"),
    (r"\text{negative three}", "3"),
    (r"\text{negative zero or three}", "3"),
    ("minus minus three", "3"),
    (r"3 \text{ out of } 8", "3"),
    (r"3 \text{ out of } 8", r"\frac83"),
    (r"{}^{10}C_3", "720"),
    (r"5^{10}C_3", "120"),
    (r"(1+x)^{10}C_3", "120(1+x)"),
    ("a_n = 2n - 1", "a_k = 2n - 1"),
    ("a_n = 2n - 1", "b_k = 2k - 1"),
    ("a_n = nk", "a_k = nk"),
    ("v_a = 3a", "v_b = 3b"),
    ("a_n = n + 1", "a_{n+1} = n + 2"),
    (r"x > 3 \text{ or } x \in \mathbb{R}", "x > 3"),
    (r"x \in \mathbb{R}, y = 3", "y = 3"),
    (r"y = x^2, x \in \mathbb{Z}", "y = x^2"),
    (r"\gcd(m, n)", r"\gcd(m, n + 1)"),
    (r"\gcd(m, n)", r"\operatorname{lcm}(n, m)"),
    (r"\max\{a, b\}", r"\min\{a, b\}"),
    (r"\text{x + 2 = } 73", "73"),
    (r"\text{p + q = } 73", "74"),
    (r"\text{(A), (B)}", "A, C"),
    (r"\text{(A)}", "C"),
    (r"\textbf{(A)} = \mathbf{D}", r"\mathbf{D}"),
    ("A = D", "D"),
    (r"\text{(A) (D)}", "D"),
    (r"\text{(A) or (D)}", "D"),
    (r"f^{-1}(x) = \frac{x+2}{7}", r"f(x) = \frac{x+2}{7}"),
    (r"f^{-1}(x) = \frac{x+2}{7}", r"g^{-1}(x) = \frac{x+2}{7}"),
    ("f^{-1}(x)", r"\frac{1}{f(x)}"),
    (r"A \cap B = \{1\}", r"A \cup B = \{1\}"),
    (r"A \cap B = \{1\}", r"\{1, 2\}"),
    (r"5 {\rm cm}", r"5 \text{ m}"),
    (r"5 \tag{1}", "51"),
    (r"5\phantom{6}", "56"),
    (r"\emph{Alice}", r"\text{Bob}"),
    ("10 square cm", r"10 \text{ cm}"),
    ("3.0 x 10^8 m/s", r"3 \times 10^7 \text{ m/s}"),
    ("log2(3)", r"\ln 6"),
    (r"\log2(3)", r"\log_2 3"),
    ("+/- 3", "3"),
    ("Matrix([[1, 2], [3, 4]])", r"\begin{pmatrix} 1 & 3 \\ 2 & 4 \end{pmatrix}"),
    ("C_5^2", "20"),
    ("C_1^2", "1"),
    ("C_2^5", "10"),
    ("A_5^2", "10"),
    (r"\left\{\begin{array}{l}x=2\\y=3\end{array}\right.", "x=3, y=2"),
]


def score(prediction, reference):
    """The score; 0 for a reference that cannot be read."""
    try:
        return math_equivalent(prediction, reference).score
    except ValueError:
        return 0.0


@pytest.mark.parametrize(("prediction", "reference"), EQUAL)
def test_one_answer_in_other_words_is_the_same(prediction, reference):
    assert score(prediction, reference) == score(reference, prediction) == 1.0


@pytest.mark.parametrize(("prediction", "reference"), DIFFERENT)
def test_words_that_say_another_answer_are_different(prediction, reference):
    assert score(prediction, reference) == score(reference, prediction) == 0.0
