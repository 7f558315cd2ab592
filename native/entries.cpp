// Products with rows of which only the entries that are not zero are kept. Compiled once for each instruction set like
// products.cpp, under the same rules.
#include "kernels.h"

#include <string.h>
#if defined(__GNUC__) && defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

#include "vectors.h"

// Calls f.run<N, C>(at) for stretches of C vectors of N entries that make up `width`, the widest first.
template <class T, int N, class F> inline void stretches(F &f, size_t at, size_t width) {
    for (; width - at >= 4 * N; at += 4 * N) f.template run<N, 4>(at);
    if (width - at >= 2 * N) f.template run<N, 2>(at), at += 2 * N;
    if (width - at >= N) f.template run<N, 1>(at), at += N;
    if constexpr (N > 1) {
        constexpr int less = N > 4 && sizeof(T) * N > 16 ? N / 2 : 1;
        if (at < width) stretches<T, less>(f, at, width);
    }
}

// -- sums --------------------------------------------------------------------------------------------------------

template <class T> struct Sums {
    T *out;
    const T *M;
    Entries<T> x;  // not by reference: a store of a vector might change it
    size_t stride;

    // Several sums at a time, since the next addition to one waits for the last.
    template <int N, int C> void run(size_t at) const {
        constexpr int SUMS = 8 / C;
        using stored = typename Vector<T, N>::stored;
        typename Vector<T, N>::type sum[SUMS][C] = {};
        size_t e = 0;
        for (; e + SUMS <= x.count; e += SUMS)
#pragma GCC unroll 4
            for (int s = 0; s < SUMS; ++s) {
                const T *row = M + (size_t)x.index[e + s] * stride + at;
#pragma GCC unroll 4
                for (int c = 0; c < C; ++c) sum[s][c] += x.values[e + s] * *(const stored *)(row + c * N);
            }
        for (; e < x.count; ++e)
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c)
                sum[0][c] += x.values[e] * *(const stored *)(M + (size_t)x.index[e] * stride + at + c * N);
#pragma GCC unroll 4
        for (int s = 1; s < SUMS; ++s)
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) sum[0][c] += sum[s][c];
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) *(stored *)(out + at + c * N) = sum[0][c];
    }
};

template <class T> void combine(T *out, const T *M, const Entries<T> &x, size_t width, size_t stride) {
    Sums<T> sums{out, M, x, stride};
    stretches<T, lanes<T>>(sums, 0, width);
}

template <class T> struct Spreads {
    T *M;
    const T *d;
    Entries<T> x;
    size_t stride;

    template <int N, int C> void run(size_t at) const {
        using stored = typename Vector<T, N>::stored;
        typename Vector<T, N>::type slope[C];
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) slope[c] = *(const stored *)(d + at + c * N);
        const Entries<T> x = this->x;
        size_t e = 0;
        for (; e + 2 <= x.count; e += 2) {  // rows differ: both are loaded before one is stored
            T *one = M + (size_t)x.index[e] * stride + at, *two = M + (size_t)x.index[e + 1] * stride + at;
            typename Vector<T, N>::type a[C], b[C];
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) {
                a[c] = *(const stored *)(one + c * N) + x.values[e] * slope[c];
                b[c] = *(const stored *)(two + c * N) + x.values[e + 1] * slope[c];
            }
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) {
                *(stored *)(one + c * N) = a[c];
                *(stored *)(two + c * N) = b[c];
            }
        }
        for (; e < x.count; ++e) {
            T *row = M + (size_t)x.index[e] * stride + at, value = x.values[e];
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) *(stored *)(row + c * N) += value * slope[c];
        }
    }
};

template <class T> void spread(T *M, const T *d, const Entries<T> &x, size_t width, size_t stride) {
    Spreads<T> spreads{M, d, x, stride};
    stretches<T, lanes<T>>(spreads, 0, width);
}

// -- finding the entries -----------------------------------------------------------------------------------------

// Those of load(j), ..., load(d - 1), one at a time, behind the `count` that there are; returns how many there are then.
template <class T, class Load>
inline size_t pack_rest(int32_t *index, T *values, size_t j, size_t d, size_t count, Load load) {
    for (; j < d; ++j) index[count] = (int32_t)j, values[count] = load(j), count += values[count] != 0;
    return count;
}

#if defined(__GNUC__) && defined(__AVX512F__)

// Sixteen at a time: those that are not zero move together.
template <class Load, class Plain>
inline size_t pack_by_16(int32_t *index, float *values, size_t d, Load load, Plain plain) {
    size_t count = 0, j = 0;
    __m512i at = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (; j + 16 <= d; j += 16) {
        __m512 x = load(j);
        __mmask16 kept = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        _mm512_storeu_si512(index + count, _mm512_maskz_compress_epi32(kept, at));
        _mm512_storeu_ps(values + count, _mm512_maskz_compress_ps(kept, x));
        count += (size_t)__builtin_popcount(kept);
        at = _mm512_add_epi32(at, _mm512_set1_epi32(16));
    }
    return pack_rest(index, values, j, d, count, plain);
}

inline size_t pack_bytes(int32_t *index, float *values, const uint8_t *bytes, size_t d, float scale) {
    auto load = [&](size_t j) {
        __m128i part = _mm_loadu_si128((const __m128i *)(bytes + j));
        return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(part)), _mm512_set1_ps(scale));
    };
    return pack_by_16(index, values, d, load, [&](size_t j) { return (float)(int32_t)bytes[j] * scale; });
}

inline size_t pack(int32_t *index, float *values, const float *x, size_t d) {
    return pack_by_16(index, values, d, [&](size_t j) { return _mm512_loadu_ps(x + j); }, [&](size_t j) { return x[j]; });
}

#elif defined(__GNUC__) && defined(__AVX2__)

// For each of the ways in which eight numbers can be zero or not: the places of those that are not, first to last.
struct Places {
    alignas(64) uint8_t of[256][8] = {};
    constexpr Places() {
        for (int mask = 0; mask < 256; ++mask)
            for (int bit = 0, count = 0; bit < 8; ++bit)
                if (mask >> bit & 1) of[mask][count++] = (uint8_t)bit;
    }
};
constexpr Places places;

// Eight at a time: those of the mask move together. Returns how many.
inline size_t pack_by_8(int32_t *index, float *values, __m256 x, unsigned mask, size_t j) {
    __m256i kept = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)places.of[mask]));
    _mm256_storeu_si256((__m256i *)index, _mm256_add_epi32(kept, _mm256_set1_epi32((int)j)));
    _mm256_storeu_ps(values, _mm256_permutevar8x32_ps(x, kept));
    return (size_t)__builtin_popcount(mask);
}

inline size_t pack_bytes(int32_t *index, float *values, const uint8_t *bytes, size_t d, float scale) {
    size_t count = 0, j = 0;
    for (; j + 32 <= d; j += 32) {
        __m256i all = _mm256_loadu_si256((const __m256i *)(bytes + j));
        auto mask = ~(unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(all, _mm256_setzero_si256()));
        if (!mask) continue;
        for (size_t i = j; i < j + 32; i += 8, mask >>= 8) {
            __m256 x = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(bytes + i))));
            x = _mm256_mul_ps(x, _mm256_set1_ps(scale));
            count += pack_by_8(index + count, values + count, x, mask & 255, i);
        }
    }
    return pack_rest(index, values, j, d, count, [&](size_t at) { return (float)(int32_t)bytes[at] * scale; });
}

inline size_t pack(int32_t *index, float *values, const float *x, size_t d) {
    size_t count = 0, j = 0;
    for (; j + 8 <= d; j += 8) {
        __m256 part = _mm256_loadu_ps(x + j);
        auto mask = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(part, _mm256_setzero_ps(), _CMP_NEQ_UQ));
        count += pack_by_8(index + count, values + count, part, mask, j);
    }
    return pack_rest(index, values, j, d, count, [&](size_t at) { return x[at]; });
}

#endif

template <class T> size_t pack(int32_t *index, T *values, const T *x, size_t d) {
    return pack_rest(index, values, 0, d, 0, [&](size_t at) { return x[at]; });
}

// Eight at a time, where all of them are zero.
template <class T> size_t pack_bytes(int32_t *index, T *values, const uint8_t *bytes, size_t d, T scale) {
    size_t count = 0, j = 0;
    auto take = [&] { index[count] = (int32_t)j, values[count] = (T)(int32_t)bytes[j] * scale, count += bytes[j] != 0; };
    while (j + 8 <= d) {
        uint64_t word;
        memcpy(&word, bytes + j, 8);
        if (!word) j += 8;
        else
            for (size_t end = j + 8; j < end; ++j) take();
    }
    for (; j < d; ++j) take();
    return count;
}

template <class T> size_t pack_row(int32_t *index, T *values, const void *row, size_t d, const T *scale) {
    return scale ? pack_bytes(index, values, (const uint8_t *)row, d, *scale) : pack(index, values, (const T *)row, d);
}

template <class T>
void widen(int32_t *index, T *values, const uint16_t *places, const void *kept, size_t count, const T *scale) {
    for (size_t e = 0; e < count; ++e) index[e] = places[e];
    if (!scale) {
        memcpy(values, kept, count * sizeof(T));
        return;
    }
    const uint8_t *bytes = (const uint8_t *)kept;
    for (size_t e = 0; e < count; ++e) values[e] = (T)(int32_t)bytes[e] * *scale;
}

template <class T> constexpr EntryTable<T> table() { return {&pack_row<T>, &widen<T>, &combine<T>, &spread<T>}; }

}  // namespace

#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
extern "C" const EntryTables JOINED(layerloop_entries_, LAYERLOOP_ISA);
extern "C" const EntryTables JOINED(layerloop_entries_, LAYERLOOP_ISA) = {table<float>(), table<double>()};
