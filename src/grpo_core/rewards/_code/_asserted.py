"""Whether an assert script can fail at all."""

import ast

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def asserts(script: str, *, entry_point: bool) -> bool:
    """Whether a Python script that parses runs an `assert` or raises, as far as can be seen.

    At its top level, in a function that is called from there (with an entry point, `check` is), or
    in one that such a function calls.
    """
    tree = ast.parse(script)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, _Function)}
    waiting: list[ast.AST] = [node for node in tree.body if not isinstance(node, _Function)]
    if entry_point and "check" in functions:
        waiting += functions.pop("check").body
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called.startswith("assert"):  # assert_allclose, self.assertEqual
                return True
            if called in functions:
                waiting += functions.pop(called).body
        waiting += [
            child
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, _Function | ast.Lambda)
        ]
    return False
