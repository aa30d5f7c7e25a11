"""What runs below autograd, watched: memory and matrix products."""

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode


class Peak(TorchDispatchMode):
    """The most bytes that were alive at once, of all that was allocated under this mode."""

    def __init__(self):
        super().__init__()
        self.peak, self.made, self.seen = 0, [], set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for value in [*args, *(kwargs or {}).values()]:
            if isinstance(value, torch.Tensor):
                self.seen.add(value.untyped_storage()._cdata)
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            storage = tensor.untyped_storage()
            if storage._cdata not in self.seen:
                self.made.append((StorageWeakRef(storage), storage.nbytes()))
        self.made = [(ref, size) for ref, size in self.made if not ref.expired()]
        self.seen = {ref.cdata for ref, _ in self.made}
        self.peak = max(self.peak, sum(size for _, size in self.made))
        return result


class Products(TorchDispatchMode):
    """The shapes of the factors of each matrix product."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in {torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm}:
            factors = [x for x in args if isinstance(x, torch.Tensor)][-2:]  # not the dtype
            self.shapes.append(tuple(x.shape for x in factors))
        return func(*args, **(kwargs or {}))
