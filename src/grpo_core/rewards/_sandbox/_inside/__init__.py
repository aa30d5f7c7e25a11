"""The side of the sandbox that runs in a launcher: a small process of our own, never the trainer.

Standard library only, imported by path and not as `grpo_core`: a launcher starts in the time that
Python itself takes, and has nothing in memory that a program may not see.
"""
