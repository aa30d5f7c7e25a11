"""Complete uses of the library, each a package of its own that can be run and read.

`python -m grpo_core.recipes.demo` repairs a small policy with verifiable rewards in about a minute
on a laptop's CPU. Nothing is imported here: a recipe costs what it needs when it is asked for.
"""
