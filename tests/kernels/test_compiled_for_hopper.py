"""What ptxas says of every kernel, without a GPU: nothing spills, accesses are 16 bytes wide."""

from dataclasses import replace

import pytest

import hopper

if reason := hopper.unavailable():
    pytest.skip(reason, allow_module_level=True)

import kernel_launches
import sample_launches

LAUNCHES = list(kernel_launches.LAUNCHES)


def launched(name):
    kernels = hopper.compiled("kernel_launches")[name]
    assert kernels, f"{name} launched nothing"
    return kernels


def sample(name):
    assert name in sample_launches.LAUNCHES
    (kernel,) = hopper.compiled("sample_launches")[name]
    return kernel


def assert_fits(kernel):
    """In registers, and in what a block may take of an SM's shared memory."""
    assert kernel.spilled == 0 and kernel.stack == 0, f"spills: {kernel}"
    assert kernel.shared <= 227 * 1024, f"too much shared memory: {kernel}"


def assert_wide(*kernels):
    """Of one or two bytes are a row's target, its gradient, its mask and its support alone."""
    for kernel in kernels:
        narrow = kernel.accesses.get(1, 0) + kernel.accesses.get(2, 0)
        assert narrow <= 4, f"{narrow} accesses of one or two bytes: {kernel}"
    assert any(kernel.accesses.get(16, 0) >= 8 for kernel in kernels), f"none is wide: {kernels}"


def assert_on_tensor_cores(kernel):
    """Operands come by TMA, and are multiplied by a warp group."""
    assert kernel.tensor_copies > 0 and kernel.wgmma > 0, f"no wgmma or no TMA: {kernel}"


@pytest.mark.parametrize("name", LAUNCHES)
def test_nothing_spills_and_shared_memory_suffices(name):
    for kernel in launched(name):
        assert_fits(kernel)


PRODUCTS = kernel_launches.PRODUCTS | kernel_launches.GATHERED
ROWWISE = [name for name in LAUNCHES if name not in PRODUCTS]


@pytest.mark.parametrize("name", [n for n in ROWWISE if str(kernel_launches.ALIGNED) in n])
def test_aligned_rows_go_sixteen_bytes_at_a_time(name):
    assert_wide(*launched(name))


@pytest.mark.parametrize("name", kernel_launches.PRODUCTS)
def test_products_are_made_on_the_tensor_cores(name):
    names = ("exponentials_kernel", "product_kernel")
    products = [kernel for kernel in launched(name) if kernel.name in names]
    assert len(products) == (3 if "gradients" in name else 1)
    for kernel in products:
        assert_on_tensor_cores(kernel)


@pytest.mark.parametrize("name", kernel_launches.GATHERED)
def test_gathered_operands_come_sixteen_bytes_at_a_time_to_the_tensor_cores(name):
    names = ("sparse_weight_kernel", "sparse_hidden_kernel")
    products = [kernel for kernel in launched(name) if kernel.name in names]
    assert len(products) == 2
    for kernel in products:
        assert kernel.wgmma > 0
        # Beside the operands, single numbers of the lists alone; the result is as wide.
        assert set(kernel.accesses) == {4, 16} and kernel.accesses[16] >= 48


def test_what_spills_is_refused():
    assert_fits(sample("keep 1024"))
    with pytest.raises(AssertionError, match=r"spills: .* registers=\d+, stack=[1-9]"):
        assert_fits(sample("keep 8192"))


def test_what_takes_too_much_shared_memory_is_refused():
    kernel = sample("copy")
    with pytest.raises(AssertionError, match="too much shared memory"):
        assert_fits(replace(kernel, shared=227 * 1024 + 1))


def test_narrow_accesses_are_refused():
    assert_wide(sample("copy"))
    with pytest.raises(AssertionError, match="32 accesses of one or two bytes"):
        assert_wide(sample("strided copy"))


def test_a_product_of_tensor_descriptors_is_seen_on_the_tensor_cores():
    kernel = sample("product")
    assert_on_tensor_cores(kernel)
    assert_fits(kernel)
    with pytest.raises(AssertionError, match="no wgmma"):
        assert_on_tensor_cores(sample("copy"))
