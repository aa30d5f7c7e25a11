"""Processes in which another's function may hang, crash or be killed. The standard library alone.

A *keeper* imports the function, never calls it, and forks a *player* for the calls. It has the
clock: a player that is late, or takes more memory than it may, is killed, and the next one is
forked from the same clean state. All that goes through the pipes is plain tuples.
"""

from grpo_core._players._calls import Plain
from grpo_core._players._home import GRACE, Home, NoHomeError

__all__ = ["GRACE", "Home", "NoHomeError", "Plain"]
