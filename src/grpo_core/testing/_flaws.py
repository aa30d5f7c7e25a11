"""Ways to break the format of a completion, by the reason of `verify_format`.

Of the tags, `T` stands for the thoughts and `A` for the answer, between bars; of the rest `@` for
what is in the box or in the fence.
"""

TAG_FLAWS = {
    "empty_completion": ("",),
    "no_opening_tag": ("A", "T|A", "<THINK>|T|</THINK>|A", "<thinking>|T|</thinking>|A"),
    "text_before_opening_tag": (" |<think>|T|</think>|A", "Sure!\n<think>|T|</think>|A"),
    "closing_without_opening": ("</think>|A", "T|</think>|A"),
    "unclosed_thoughts": ("<think>|T|A", "<think>|T"),
    "nested_thoughts": ("<think>|<think>|T|</think>|A", "<think>|T|<think>|T|</think>|</think>|A"),
    "second_pair": (
        "<think>|T|</think>|A|<think>|T|</think>|A",
        "<think></think><think></think>|A",
    ),
    "second_opening_tag": ("<think>|T|</think>|A|<think>", "<think>|T|</think>|<think>|A"),
    "second_closing_tag": ("<think>|T|</think>|A|</think>", "<think>|T|</think>|</think>|A"),
}
BOX_FLAWS = {
    "no_box": ("@", "The answer is $@$.", "\\fbox{@}", "\\boxed", ""),
    "empty_box": ("\\boxed{}", "@ \\boxed{ }", "$\\boxed{{}}$"),
    "unbalanced_box": ("\\boxed{@", "$\\boxed{@$", "\\boxed{{@}"),
    "box_in_code_only": ("```\n\\boxed{@}\n```", "`\\boxed{@}`", "```latex\n\\boxed{@}"),
}
FENCE_FLAWS = {
    "no_fence": ("@", "Run `@`.", "    @", ""),
    "fence_without_language": ("```\n@\n```", "~~~\n@\n~~~\n"),
    "unclosed_fence": ("```python\n@", "Here:\n```cpp\n@\n``"),
}
