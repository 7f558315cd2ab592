// Which table of kernels runs: the best this processor has, or the one asked for by name.
#include "kernels.h"

#include <cstring>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

extern "C" const Kernels layerloop_kernels_baseline;
#ifdef LAYERLOOP_HAVE_v3
extern "C" const Kernels layerloop_kernels_v3;
#endif
#ifdef LAYERLOOP_HAVE_v4
extern "C" const Kernels layerloop_kernels_v4;
#endif

namespace {

bool has_v3() {
#if defined(_MSC_VER) && !defined(__clang__) && defined(_M_X64)
    int r[4];
    __cpuid(r, 1);
    if (!((r[2] >> 27) & 1) || !((r[2] >> 12) & 1)) return false;  // OSXSAVE, FMA
    if ((_xgetbv(0) & 6) != 6) return false;
    __cpuidex(r, 7, 0);
    return ((r[1] >> 5) & 1) && ((r[1] >> 8) & 1);  // AVX2, BMI2
#elif defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
#else
    return false;
#endif
}

bool has_v4() {
    if (!has_v3()) return false;
#if defined(_MSC_VER) && !defined(__clang__) && defined(_M_X64)
    if ((_xgetbv(0) & 0xe6) != 0xe6) return false;
    int r[4];
    __cpuidex(r, 7, 0);
    unsigned b = (unsigned)r[1];
    return (b >> 16 & 1) && (b >> 17 & 1) && (b >> 28 & 1) && (b >> 30 & 1) && (b >> 31 & 1);  // F DQ CD BW VL
#elif defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

const Kernels *pick(const char *name) {
    bool any = !*name;
    (void)has_v4;
#ifdef LAYERLOOP_HAVE_v4
    if ((any || !std::strcmp(name, "v4")) && has_v4()) return &layerloop_kernels_v4;
#endif
#ifdef LAYERLOOP_HAVE_v3
    if ((any || !std::strcmp(name, "v3")) && has_v3()) return &layerloop_kernels_v3;
#endif
    return any || !std::strcmp(name, "baseline") ? &layerloop_kernels_baseline : nullptr;
}

const Kernels *active = &layerloop_kernels_baseline;

}  // namespace

bool select_isa(const char *name) {
    const Kernels *found = pick(name);
    if (found) active = found;
    return found;
}

const Kernels &kernels() { return *active; }
