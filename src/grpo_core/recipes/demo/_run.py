"""The run as a whole: train, show, write every row as it comes, and report however far it came."""

import signal
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from grpo_core.recipes.demo._control import side_by_side
from grpo_core.recipes.demo._report import progress, save_picture, table, to_json
from grpo_core.recipes.demo._train import Row, train

ROWS, PICTURE = Path("demo.jsonl"), Path("demo.png")


def is_available(device: str) -> bool:
    """Whether torch can compute on a device of this name here."""
    try:
        torch.zeros(1, device=device).item()  # read back: the device "meta" holds nothing
    except (RuntimeError, AssertionError, ImportError):  # as many kinds as backends
        return False
    return True


def run(
    *,
    steps: int,
    seed: int,
    device: str,
    clip_high: float,
    minibatches: int,
    fused: bool,
    control: bool,
) -> bool:
    """Train, with the control beside if asked; True if it came to its end, False if interrupted."""
    policy = partial(
        train,
        device,
        steps=steps,
        seed=seed,
        epsilon_high=clip_high,
        minibatches=minibatches,
        fused=fused,
    )
    console = Console()
    rows: list[Row] = []
    finished = False
    with ExitStack() as stack:
        file = stack.enter_context(ROWS.open("w", buffering=1))  # a line at a time
        show = stack.enter_context(progress(console, steps, control=control))
        try:
            source = policy(control=False)
            if control:
                shuffled = partial(policy, control=True)
                source = stack.enter_context(side_by_side(source, shuffled))
            for row in source:
                rows.append(row)
                print(to_json(row), file=file)
                show(row)
            finished = True
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # what was measured is shown first
    save_picture(rows, PICTURE)
    console.print(table(rows, minibatches=minibatches))
    console.print(f"{'finished' if finished else 'interrupted'}: {ROWS} and {PICTURE} are here")
    return finished
