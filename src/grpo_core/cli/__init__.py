"""The command line: `grpo-core score | explain | check-references | serve | doctor | demo`.

Nothing is imported here: the extra `cli` is needed to run it, not to import it.
"""
