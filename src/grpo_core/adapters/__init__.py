"""Our rewards and losses in the trainer you have: `grpo_core.adapters.trl` and one for each other.

Nothing is imported here. A trainer's module imports that trainer only when a class of it is
subclassed, which is when you call the function that gives the class.
"""
