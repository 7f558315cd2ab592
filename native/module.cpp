// The door from Python: what there is.
#include "arguments.h"
#include "bound.h"

// Adds the class of a float type's networks; engine32.cpp, engine64.cpp.
template <class T> void bind(nb::module_ &m, const char *name);

namespace {

// Multiplies two small matrices through what was found: the answer is known.
template <class T> bool product_is_right() {
    const T A[] = {1, 2, 3, 4, 5, 6}, B[] = {7, 8, 9, 10, 11, 12};
    T C[4] = {};
    multiply(C, A, B, {false, false, 2, 2, 3, 2, 3, 2});  // columns (1,2) (3,4) (5,6) by (7,8,9) (10,11,12)
    return C[0] == 76 && C[1] == 100 && C[2] == 103 && C[3] == 136;
}

bool use_blas(size_t sgemm, size_t dgemm, size_t set_threads, size_t get_threads) {
    blas() = {(Gemm<float>)sgemm, (Gemm<double>)dgemm, (void (*)(int))set_threads, (int (*)())get_threads};
    if (!set_threads || !get_threads) blas().set_threads = nullptr, blas().get_threads = nullptr;
    if (product_is_right<float>() && product_is_right<double>()) return true;
    blas() = {};
    return false;
}

// For benchmarks: seconds of the products of so many steps, the BLAS in so many threads or the batch in two halves.
double products_bound(const std::vector<size_t> &widths, size_t batch, size_t steps, int blas_threads, bool halved) {
    require(widths.size() > 1 && batch > 1 && blas_threads > 0, "two widths and two rows at least");
    OneBlasThread one;
    if (blas().set_threads && blas_threads > 1) blas().set_threads(blas_threads);
    double seconds = [&] {
        nb::gil_scoped_release unlocked;
        return products_seconds(widths, batch, steps, halved);
    }();
    if (blas().set_threads && blas_threads > 1) blas().set_threads(1);
    return seconds;
}

}  // namespace

NB_MODULE(_native, m) {
    nb::set_leak_warnings(false); // a network that lives until the interpreter ends is no leak
    nb::class_<PackedRows>(m, "PackedRows");
    bind<float>(m, "Engine32");
    bind<double>(m, "Engine64");
    m.def("select_isa", [](const std::string &name) { return select_isa(name.c_str()); }, "name"_a);
    m.def("isa", [] { return std::string(kernels().isa); });
    m.def("has_tiles", [] { return kernels().tiles->f32.multiply != nullptr; });
    m.def("end_calls", &Calls::end);
    m.def("forget_calls", [] { Calls::forget(), OneBlasThread::forget(); });
    m.def("blas_threads", &OneBlasThread::allowed);
    m.def("use_blas", &use_blas, "sgemm"_a, "dgemm"_a, "set_threads"_a, "get_threads"_a);
    m.def("products_bound", &products_bound, "widths"_a, "batch"_a, "steps"_a, "blas_threads"_a, "halved"_a);
}
