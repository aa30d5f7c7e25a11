"""Reward functions, a module a trainer. No torch until a trainer asks for a tensor."""
