import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.bench.kernels import OTHER, Launch, busy, kind, shares

TIMES = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fmha_cutlassF_bf16_aligned_64x64_rf_sm80(PyTorchMemEffAttention::AttentionKernel<...>::Params)", "attention"),
        ("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_TNT", "products"),
        ("sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64", "products"),
        ("void cublasLt::splitKreduce_kernel<32, 16, int, float>", "products"),
        ("void at::native::(anonymous namespace)::vectorized_layer_norm_kernel<c10::BFloat16, float>", "norms"),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::GeluCUDAKernelImpl(...)>", "elementwise"),
        ("void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float>>", "sums"),
        ("void cudnn::cnn::conv2d_grouped_direct_kernel<false, true>", "convolutions"),
        ("Memcpy HtoD (Pinned -> Device)", "copies"),
        ("Memset (Device)", "copies"),
        ("void at::native::(anonymous namespace)::CatArrayBatchedCopy<float>", "copies"),
        ("somebody_elses_kernel", OTHER),
    ],
)
def test_a_kernel_is_known_by_its_name(name: str, expected: str) -> None:
    assert kind(name) == expected


def test_shares_are_of_the_time_that_kernels_took_and_the_largest_comes_first() -> None:
    launches = [Launch("layer_norm", 0, 10), Launch("gemm", 100, 160), Launch("gemm", 160, 190)]
    assert list(shares(launches).items()) == [("products", 0.9), ("norms", 0.1)]


def test_what_runs_beside_something_else_is_counted_once() -> None:
    launches = [Launch("gemm", 20, 40), Launch("Memcpy", 0, 10), Launch("Memcpy", 30, 50), Launch("gemm", 32, 36)]
    assert busy(launches) == pytest.approx(0.8)


@given(TIMES)
def test_the_share_is_that_of_the_moments_in_which_anything_runs(times: list[tuple[int, int]]) -> None:
    launches = [Launch("gemm", start, start + took) for start, took in times]
    moments = {moment for start, took in times for moment in range(start, start + took)}
    assert busy(launches) == pytest.approx(len(moments) / (max(moments) + 1 - min(moments)))


def test_nothing_has_no_share() -> None:
    with pytest.raises(ValueError, match="nothing ran"):
        busy([])
