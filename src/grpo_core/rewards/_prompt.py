"""The system prompt that asks for what the format reward checks."""

# Section 2.2 and figure 2 of Magistral (arXiv:2506.10910) say what it asks for; the words are ours.
SYSTEM_PROMPT = (
    "Before you answer, think. Write your thoughts as a draft between <think> and </think>, and "
    "begin with <think>. The draft is yours: try things, doubt them, compute on paper, and take as "
    "long as you need to be sure. Write each of the two tags once and nowhere else.\n\n"
    "After </think>, write an answer that can be read without the draft: a short summary that says "
    "how the result comes about, and then the result itself. Use Markdown, and LaTeX for formulas. "
    "If the problem asks for a result in mathematics, put the final one into \\boxed{}, once. If "
    "it asks for a program, give all of it in one fenced block that names its language, like this:"
    '\n```python\nprint("Hello")\n```\n\n'
    "Write both the draft and the answer in the language of the problem."
)


def format_prompt(problem: str, /, *, system: str = SYSTEM_PROMPT) -> list[dict[str, str]]:
    """The messages that put a problem to a policy, for a tokenizer's chat template.

    Args:
        problem: The problem, which becomes the user's message as it is.
        system: What comes before it.

    Returns:
        A system message and a user message, each with `role` and `content`.

    Example:
        The problem is the last message:

        >>> from grpo_core.rewards import format_prompt
        >>> format_prompt("What is 6 times 7?")[-1]
        {'role': 'user', 'content': 'What is 6 times 7?'}
    """
    return [{"role": "system", "content": system}, {"role": "user", "content": problem}]
