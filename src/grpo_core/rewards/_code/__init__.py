"""Whether the program in an answer passes its tests."""

from grpo_core.rewards._code._languages import Language
from grpo_core.rewards._code._tests import AssertTest, FunctionTest, StdinTest
from grpo_core.rewards._code._verify import verify_code

__all__ = ["AssertTest", "FunctionTest", "Language", "StdinTest", "verify_code"]
