"""Triton kernels, one file an operator; imported only where one is asked for."""
