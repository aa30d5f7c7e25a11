"""The main job: what it writes, that it repeats itself, and how it ends when it is cut short."""

# ruff: noqa: E402 - the imports below need the extra
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

for name in ("matplotlib", "rich", "safetensors", "transformers"):
    pytest.importorskip(name)

from matplotlib.image import imread

from grpo_core.recipes import magistral
from grpo_core.recipes.demo import _train
from grpo_core.recipes.demo.__main__ import main
from grpo_core.recipes.demo._policy import CHECKPOINT, encode_prompts, generate, load_policy
from grpo_core.recipes.demo._report import wilson
from grpo_core.recipes.demo._task import EOS, splits

DEMO = [sys.executable, "-m", "grpo_core.recipes.demo"]
KEYS = [
    *("step", "reward", "held_out", "mean_length", "kept_groups", "entropy"),
    *("clip_fraction", "ratio_error", "seed", "control"),
]
OPTIONS = {"seed": 0, "epsilon_high": 0.28, "minibatches": 1, "fused": False, "control": False}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def few_held_out(monkeypatch):
    practice, held_out = splits()
    monkeypatch.setattr(_train, "splits", lambda: (practice, held_out[:200]))


@pytest.fixture
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_shipped_policy_is_small_and_starts_broken():
    torch.manual_seed(0)
    policy = load_policy()
    assert CHECKPOINT.stat().st_size < 400_000
    assert {weight.dtype for weight in policy.parameters()} == {torch.float32}
    assert 0.15 < _train.accuracy(policy, splits()[1][:200], "cpu") < 0.40


def test_the_mask_ends_with_the_end_token():
    torch.manual_seed(0)
    rollout = generate(load_policy(), encode_prompts(splits()[0][:50]))
    for tokens, mask in zip(rollout.tokens.tolist(), rollout.mask.tolist(), strict=True):
        length = tokens.index(EOS) + 1 if EOS in tokens else len(tokens)
        assert mask == [place < length for place in range(len(tokens))]


@pytest.mark.usefixtures("few_held_out")
def test_a_run_writes_a_row_for_each_step_and_a_picture(in_tmp_path, capsys):
    assert main(["--steps", "2", "--seed", "3"]) == 0
    rows = [json.loads(line) for line in Path("demo.jsonl").read_text().splitlines()]
    assert [list(row) for row in rows] == [KEYS] * 3
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert [row["held_out"] is None for row in rows] == [False, True, False]
    assert [row["reward"] is None for row in rows] == [True, False, False]
    assert all(row["seed"] == 3 and row["control"] is False for row in rows)
    assert imread("demo.png").shape[:2] == (720, 1200)
    output = capsys.readouterr()
    assert "|ratio" in output.out
    assert output.err == ""


@pytest.mark.usefixtures("few_held_out", "in_tmp_path")
def test_the_same_seed_gives_the_same_file():
    files = []
    for seed in ("0", "0", "1"):
        assert main(["--steps", "2", "--seed", seed]) == 0
        files.append(Path("demo.jsonl").read_text())
    assert files[0] == files[1]
    assert files[0] != files[2].replace('"seed": 1', '"seed": 0')


@pytest.mark.usefixtures("few_held_out")
def test_true_rewards_teach_and_shuffled_ones_do_not():
    start, *_, end = _train.train("cpu", steps=6, **OPTIONS)
    assert end.held_out > start.held_out + 0.1
    assert end.mean_length > 13
    start, *_, end = _train.train("cpu", steps=6, **OPTIONS | {"control": True})
    assert end.held_out < start.held_out


@pytest.mark.usefixtures("few_held_out")
def test_the_ratio_is_one_until_a_second_minibatch():
    *_, one = _train.train("cpu", steps=1, **OPTIONS)
    *_, two = _train.train("cpu", steps=1, **OPTIONS | {"minibatches": 2})
    assert one.ratio_error < 1e-5
    assert one.clip_fraction == 0
    assert two.ratio_error > 1e-3
    assert two.clip_fraction > 0


@pytest.mark.usefixtures("few_held_out")
@pytest.mark.parametrize("minibatches", [1, 2])
def test_a_fused_update_is_the_same_update(minibatches, monkeypatch):
    plain, fused = (
        list(_train.train("cpu", steps=2, **OPTIONS | {"minibatches": minibatches, "fused": way}))
        for way in (False, True)
    )
    for one, other in zip(plain[1:], fused[1:], strict=True):
        assert other.reward == pytest.approx(one.reward, rel=1e-3)
        assert other.clip_fraction == pytest.approx(one.clip_fraction, abs=2e-3)
        assert other.ratio_error == pytest.approx(one.ratio_error, rel=1e-2, abs=1e-6)
    monkeypatch.setattr(_train, "completion_logits", pytest.fail)
    *_, row = _train.train("cpu", steps=1, **OPTIONS | {"fused": True})
    assert row.reward is not None


@pytest.mark.usefixtures("few_held_out")
def test_a_batch_that_teaches_nothing_moves_nothing(monkeypatch):
    monkeypatch.setattr(_train, "verify", lambda _, problems: torch.ones(len(problems)))
    monkeypatch.setattr(_train, "update", pytest.fail)
    *_, row = _train.train("cpu", steps=1, **OPTIONS)
    assert (row.kept_groups, row.clip_fraction, row.ratio_error) == (0, None, None)


def spy(monkeypatch, name, module=_train):
    """Calls of a function that a module imported, as (arguments, options, result)."""
    calls, function = [], getattr(module, name)

    def recorded(*args, **kwargs):
        calls.append((args, kwargs, function(*args, **kwargs)))
        return calls[-1][2]

    monkeypatch.setattr(module, name, recorded)
    return calls


@pytest.mark.usefixtures("few_held_out")
def test_the_numbers_of_the_recipe_reach_the_library(monkeypatch):
    names = ("clip_grad_norm_", "accuracy", "generate", "prepare")
    calls = {name: spy(monkeypatch, name) for name in names}
    calls["clipped_loss"] = spy(monkeypatch, "clipped_loss", magistral)
    _, row = _train.train("cpu", steps=1, **OPTIONS | {"epsilon_high": 0.5})
    assert calls["clipped_loss"][0][1] == {"epsilon_low": 0.2, "epsilon_high": 0.5}
    assert calls["prepare"][0][1] == {}
    assert calls["clip_grad_norm_"][0][0][1] == 1.0
    held_out = _train.splits()[1]
    assert [args[1] for args, _, _ in calls["accuracy"]] == [held_out, held_out]
    rollout = next(result for *_, result in calls["generate"] if len(result.tokens) == 256)
    lengths, entropy = rollout.mask.sum(1), rollout.entropy[rollout.mask]
    assert row.mean_length == pytest.approx(lengths.float().mean().item())
    assert row.entropy == pytest.approx(entropy.mean().item(), rel=1e-5)


def test_samples_are_drawn_from_the_whole_distribution_at_temperature_1(monkeypatch):
    policy, configs = load_policy(), []
    original = policy.generate
    monkeypatch.setattr(
        policy, "generate", lambda *a, **k: configs.append(a[1]) or original(*a, **k)
    )
    generate(policy, encode_prompts(splits()[0][:2]))
    (config,) = configs
    assert config.do_sample
    assert (config.temperature, config.top_k, config.top_p) == (1.0, 0, 1.0)


def test_the_rate_is_full_for_twenty_steps_and_half_at_eighty():
    rates = [_train.learning_rate(step) for step in (1, 20, 80)]
    assert rates == pytest.approx([3e-4, 3e-4, 1.5e-4])


def test_a_clip_fraction_is_of_the_tokens_of_the_minibatch():
    class Policy(torch.nn.Linear):  # whatever it is asked, the same logits
        def __call__(self, tokens, use_cache):
            logits = self.weight.expand(*tokens.shape, 20)
            return type("Output", (), {"logits": logits})

    policy = Policy(20, 1, bias=False)
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.0)
    tokens, mask = torch.ones(2, 4, dtype=torch.long), torch.ones(2, 4, dtype=torch.bool)
    log_probs = policy.weight.log_softmax(1)[0, 1].detach().expand(2, 4).clone()
    log_probs[0, 0] -= 1.0  # a ratio of e where the advantage is positive: clipped
    log_probs[1, 1] += 1.0  # of 1 / e where it is negative: clipped
    rollout = _train.Rollout(tokens, tokens, log_probs, log_probs, mask)
    rewards, ids = torch.tensor([1.0, 0.0]), torch.tensor([0, 0])
    done = _train.update(policy, optimizer, rollout, rewards, ids, epsilon_high=0.28, fused=False)
    assert done.clipped.value().item() == 2 / 8


def test_minibatches_share_out_whole_informative_groups():
    ids = torch.tensor([7, 3, 7, 5, 3, 5, 9, 9])
    informative = ids != 5
    parts = _train.whole_groups(ids, informative, 2)
    assert [ids[rows].tolist() for rows in parts] == [[7, 3, 7, 3], [9, 9]]
    assert len(_train.whole_groups(ids, informative, 8)) == 3


def test_the_wilson_interval_agrees_with_a_worked_one():
    # z = 1.96, n = 100: 0.5 -+ 1.96 sqrt(0.0025 + 0.0098^2) / 1.038416, and 0.038416 / 1.038416.
    assert wilson(0.5, 100) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    assert wilson(0.0, 100) == pytest.approx((0.0, 0.036995), abs=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--steps", "0"],
        ["--steps", "1001"],
        ["--steps", "ten"],
        ["--seed", "-1"],
        ["--clip-high", "-0.1"],
        ["--clip-high", "nan"],
        ["--minibatches", "33"],
        ["--lr", "1"],
        ["--step", "2"],
        ["surplus"],
        ["--device", "abacus"],
        ["--device", "cuda:99"],
        ["--device", "meta"],
    ],
)
def test_bad_arguments_are_one_line_and_status_2(arguments, in_tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert arguments[-1] in output.err
    assert not list(in_tmp_path.iterdir())


def test_without_the_extra_one_line_names_it(in_tmp_path):
    script = "import sys; sys.modules['rich'] = None; from grpo_core.recipes.demo import __main__"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; __main__.main([])"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "rich" in done.stderr
    assert "grpo_core[demo]" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups to send SIGINT to")
def test_ctrl_c_leaves_the_table_and_the_files_and_no_process(in_tmp_path):
    # As a terminal does it: to the run and to the control beside it, which share a group.
    run = subprocess.Popen(
        [*DEMO, "--control"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        file = in_tmp_path / "demo.jsonl"
        wait_for(lambda: file.exists() and len(file.read_text().splitlines()) >= 2, seconds=120)
        os.killpg(run.pid, signal.SIGINT)
        output, errors = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 130
    assert errors == ""
    assert "|ratio" in output
    assert "interrupted" in output
    assert all(list(json.loads(line)) == KEYS for line in file.read_text().splitlines())
    assert imread(in_tmp_path / "demo.png").ndim == 3
    wait_for(lambda: not group_lives(run.pid), seconds=10)


def group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition, *, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
