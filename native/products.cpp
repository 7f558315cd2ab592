// Products of narrow matrices, where packing them for a BLAS costs more than it saves. Compiled once for each
// instruction set like kernels.cpp, under the same rules, but with fused multiply-adds: a product need not have the bits
// of another machine's, and with them it takes half the time.
#include "kernels.h"

#include <string.h>

namespace {

#include "vectors.h"

#if defined(__GNUC__) && defined(__AVX512F__)

constexpr int ROWS = TILE_ROWS;  // ROWS x 2 sums, 2 columns and one factor fit into the 32 registers

template <class T> inline void store(T *at, typename Vector<T>::type v, size_t width) {
    constexpr size_t L = lanes<T>;
    if (width >= L) {
        *(typename Vector<T>::stored *)at = v;
        return;
    }
    T part[L];
    memcpy(part, &v, sizeof v);
    for (size_t l = 0; l < width; ++l) at[l] = part[l];
}

// c (R, width) <- a (R, k) b (k, width), width <= C vectors; lanes beyond the width are read and not written. Of the
// factors that come from far away what is needed next is asked for early, where the processor would not foresee it: in
// the first columns the next rows of a, in the first rows the next columns of b.
template <class T, int R, int C, bool ask_a, bool ask_b>
inline void tile(T *c, const T *a, const T *b, const Tiles &s, size_t width) {
    using V = typename Vector<T>::type;
    constexpr size_t L = lanes<T>;
    V sum[R][C];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int j = 0; j < C; ++j) sum[r][j] = V{};
    for (size_t k = 0; k < s.k; ++k) {
        V column[C];
        if (ask_a) __builtin_prefetch(a + (2 * R - 1) * s.a_row + k * s.a_k);
#pragma GCC unroll 2
        for (int j = 0; j < C; ++j) {
            column[j] = *(const typename Vector<T>::stored *)(b + k * s.ldb + j * L);
            if (ask_b) __builtin_prefetch(b + k * s.ldb + (C + j) * L);
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            T factor = a[r * s.a_row + k * s.a_k];
#pragma GCC unroll 2
            for (int j = 0; j < C; ++j) sum[r][j] += factor * column[j];
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int j = 0; j < C; ++j) store(c + r * s.ldc + j * L, sum[r][j], width - j * L);
}

template <class T, int R, bool ask_a = false, bool ask_b = false>
void rows(T *c, const T *a, const T *b, const Tiles &s, size_t width) {
    if (width > lanes<T>) tile<T, R, 2, ask_a, ask_b>(c, a, b, s, width);
    else tile<T, R, 1, ask_a, ask_b>(c, a, b, s, width);
}

// Fewer rows than ROWS: the function for just so many.
template <class T, int R> void last_rows(size_t count, T *c, const T *a, const T *b, const Tiles &s, size_t width) {
    if constexpr (R > 0) {
        if (count == R) return rows<T, R>(c, a, b, s, width);
        last_rows<T, R - 1>(count, c, a, b, s, width);
    }
}

// Rows [i, i + ROWS), or what is left of them, and columns [j, j + width).
template <class T> void at(T *c, const T *a, const T *b, const Tiles &s, size_t i, size_t j, size_t width) {
    c += i * s.ldc + j, a += i * s.a_row, b += j;
    if (i + ROWS > s.rows) return last_rows<T, ROWS - 1>(s.rows - i, c, a, b, s, width);
    if (j == 0 && s.a_k != 1) return rows<T, ROWS, true>(c, a, b, s, width);
    if (i == 0) return rows<T, ROWS, false, true>(c, a, b, s, width);
    rows<T, ROWS>(c, a, b, s, width);
}

// The longer factor is gone through once.
template <class T> void tiles(T *c, const T *a, const T *b, const Tiles &s) {
    constexpr size_t W = 2 * lanes<T>;
    auto width = [&](size_t j) { return s.width - j < W ? s.width - j : W; };
    if (s.rows > s.width)
        for (size_t i = 0; i < s.rows; i += ROWS)
            for (size_t j = 0; j < s.width; j += W) at(c, a, b, s, i, j, width(j));
    else
        for (size_t j = 0; j < s.width; j += W)
            for (size_t i = 0; i < s.rows; i += ROWS) at(c, a, b, s, i, j, width(j));
}

constexpr bool HAVE = true;
#else
template <class T> void tiles(T *, const T *, const T *, const Tiles &) {}
constexpr bool HAVE = false;  // with 16 registers the sums go over the stack, three times slower than the BLAS
#endif

}  // namespace

#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
extern "C" const TileTable JOINED(layerloop_tiles_, LAYERLOOP_ISA);
extern "C" const TileTable JOINED(layerloop_tiles_, LAYERLOOP_ISA) = {
    HAVE ? &tiles<float> : nullptr, HAVE ? &tiles<double> : nullptr};
