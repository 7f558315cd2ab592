// Products by tiles of C that stay in the registers. Compiled once for each instruction set like kernels.cpp, under the
// same rules, but with fused multiply-adds: a product need not have the bits of another machine's, and with them it takes
// half the time.
//
// A tile is ROWS x WIDTH entries. Factors whose entries lie close together it takes as they are, which saves the narrow
// products the copy that a BLAS makes; others are copied slice by slice of the depth, in panels of ROWS rows of a or WIDTH
// columns of b side by side, since steps of a long and even length leave a cache few places to keep them in.
#include "kernels.h"

#include <string.h>

namespace {

#include "vectors.h"

#if defined(__GNUC__) && (defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__)))

constexpr size_t ROWS = REGISTER == 64 ? 12 : 6;  // ROWS x 2 sums, 2 columns and one factor fit into the 32 or 16 registers
template <class T> constexpr size_t WIDTH = 2 * lanes<T>;
static_assert(TILE_ROWS % ROWS == 0 && WIDTH<float> <= ROOM);

// Panels of a factor: entry (k, x) of panel i lies at i * panel + k * along + x * across.
template <class T> struct Panels {
    const T *first;
    size_t panel, along, across;
};

// A slice of the depth of a product.
template <class T> struct Slice {
    T *c;
    Panels<T> a, b;
    size_t rows, width, depth, ldc;
    bool adds;
};

// c (R, C vectors) <- a (R, depth) b (depth, C vectors), added to what c holds where `adds`. Of the factors that come from
// far away what is needed next is asked for early, where the processor would not foresee it: in the first columns the next
// rows of a, in the first rows the next columns of b.
template <class T, int R, int C, bool ask_a, bool ask_b>
inline void tile(T *c, size_t ldc, bool adds, const T *a, const T *b, const Slice<T> &s) {
    using V = typename Vector<T>::type;
    using stored = typename Vector<T>::stored;
    constexpr size_t L = lanes<T>;
    V sum[R][C];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int j = 0; j < C; ++j) sum[r][j] = V{};
#pragma GCC unroll 4
    for (size_t k = 0; k < s.depth; ++k) {
        V column[C];
        if (ask_a) __builtin_prefetch(a + (2 * R - 1) * s.a.across + k * s.a.along);
#pragma GCC unroll 2
        for (int j = 0; j < C; ++j) {
            column[j] = *(const stored *)(b + k * s.b.along + j * L);
            if (ask_b) __builtin_prefetch(b + k * s.b.along + (C + j) * L);
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            T factor = a[r * s.a.across + k * s.a.along];
#pragma GCC unroll 2
            for (int j = 0; j < C; ++j) sum[r][j] += factor * column[j];
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int j = 0; j < C; ++j) {
            auto at = (stored *)(c + r * ldc + j * L);
            *at = adds ? sum[r][j] + *at : sum[r][j];
        }
}

template <class T, int R, int C, bool ask_a, bool ask_b>
__attribute__((noinline)) void whole_columns(T *c, const T *a, const T *b, const Slice<T> &s) {
    tile<T, R, C, ask_a, ask_b>(c, s.ldc, s.adds, a, b, s);
}

// What does not fill C vectors goes by way of the stack, in a function of its own: that place would be made in every call.
template <class T, int R, int C, bool ask_a, bool ask_b>
__attribute__((noinline)) void last_columns(T *c, const T *a, const T *b, const Slice<T> &s, size_t width) {
    constexpr size_t W = C * lanes<T>;
    alignas(64) T whole[R * W];
    tile<T, R, C, ask_a, ask_b>(whole, W, false, a, b, s);
    for (size_t r = 0; r < R; ++r)
        for (size_t j = 0; j < width; ++j) c[r * s.ldc + j] = s.adds ? c[r * s.ldc + j] + whole[r * W + j] : whole[r * W + j];
}

// The same for any width up to C vectors.
template <class T, int R, int C, bool ask_a, bool ask_b>
inline void columns(T *c, const T *a, const T *b, const Slice<T> &s, size_t width) {
    if (width == C * lanes<T>) whole_columns<T, R, C, ask_a, ask_b>(c, a, b, s);
    else last_columns<T, R, C, ask_a, ask_b>(c, a, b, s, width);
}

template <class T, int R, bool ask_a = false, bool ask_b = false>
void rows(T *c, const T *a, const T *b, const Slice<T> &s, size_t width) {
    if (width > lanes<T>) columns<T, R, 2, ask_a, ask_b>(c, a, b, s, width);
    else columns<T, R, 1, ask_a, ask_b>(c, a, b, s, width);
}

// Fewer rows than ROWS: the function for just so many.
template <class T, int R> void last_rows(size_t count, T *c, const T *a, const T *b, const Slice<T> &s, size_t width) {
    if constexpr (R > 0) {
        if (count == R) return rows<T, R>(c, a, b, s, width);
        last_rows<T, R - 1>(count, c, a, b, s, width);
    }
}

// Tile (i, j) from the panels a and b.
template <class T> void at(const Slice<T> &s, size_t i, size_t j, const T *a, const T *b) {
    size_t row = i * ROWS, column = j * WIDTH<T>, width = s.width - column < WIDTH<T> ? s.width - column : WIDTH<T>;
    T *c = s.c + row * s.ldc + column;
    if (row + ROWS > s.rows) return last_rows<T, ROWS - 1>(s.rows - row, c, a, b, s, width);
    if (j == 0 && s.a.across == 1 && s.a.along > ROWS) return rows<T, ROWS, true>(c, a, b, s, width);
    if (i == 0 && s.b.along > WIDTH<T>) return rows<T, ROWS, false, true>(c, a, b, s, width);
    rows<T, ROWS>(c, a, b, s, width);
}

// -- copies ------------------------------------------------------------------------------------------------------

// G panels of out (depth, N), `panel` from one to the next, <- as many times N entries side by side; those behind them are
// asked for.
template <class T, size_t N, size_t G> void copy_panels(T *out, size_t panel, const T *from, size_t along, size_t depth) {
    for (size_t k = 0; k < depth; ++k) {
        const T *at = from + k * along;
#pragma GCC unroll 8
        for (size_t g = 0; g < G; ++g) memcpy(out + g * panel + k * N, at + g * N, N * sizeof(T));
        for (size_t x = 0; x < G * N; x += 64 / sizeof(T)) __builtin_prefetch(at + G * N + x);
    }
}

// Panels of N entries a row that together take whole cache lines.
template <class T, size_t N> constexpr size_t group() {
    size_t panels = 1;
    while (panels * N * sizeof(T) % 64) ++panels;
    return panels;
}

// The panels of `width` entries side by side, a group at a time; what does not fill the last one is zero.
template <class T, size_t N> void copy_width(T *out, size_t panel, const T *from, size_t along, size_t depth, size_t width) {
    constexpr size_t G = group<T, N>();
    for (; width >= G * N; width -= G * N, out += G * panel, from += G * N) copy_panels<T, N, G>(out, panel, from, along, depth);
    for (; width >= N; width -= N, out += panel, from += N) copy_panels<T, N, 1>(out, panel, from, along, depth);
    if (!width) return;
    memset(out, 0, depth * N * sizeof(T));
    for (size_t k = 0; k < depth; ++k) memcpy(out + k * N, from + k * along, width * sizeof(T));
}

// Whether a factor lies in steps so long that it is to be copied, if its panels are used often enough.
template <class T> bool is_far_apart(const Panels<T> &p) { return p.across == 1 && p.along * sizeof(T) >= 512; }

// A factor of so many rows or columns, which goes through `room` where it is to be copied: a group of panels when the first
// of them is asked for, or all of it at once.
template <class T, size_t N> struct Factor {
    Panels<T> panels;
    T *room;
    size_t width, depth;
    bool copies;

    void copy_all() {
        if (!copies) return;
        copy_width<T, N>(room, N * depth, panels.first, panels.along, depth, width);
        panels = {room, N * depth, N, 1};
        copies = false;
    }
    const T *panel(size_t i) {
        if (!copies) return panels.first + i * panels.panel;
        constexpr size_t G = group<T, N>();
        static_assert(G * N <= COPIED);
        if (i % G == 0) {
            size_t rest = width - i * N;
            copy_width<T, N>(room, N * depth, panels.first + i * panels.panel, panels.along, depth, rest < G * N ? rest : G * N);
        }
        return room + i % G * N * depth;
    }
    Panels<T> shape() const { return copies ? Panels<T>{room, 0, N, 1} : panels; }
};

// -- the product -------------------------------------------------------------------------------------------------

// The longer factor is gone through once. A copy pays where its panels are used some times.
template <class T> void multiply_slice(T *c, Panels<T> a, Panels<T> b, const Tiles &s, size_t depth, bool adds, T *room) {
    constexpr size_t W = WIDTH<T>;
    T *panels = room;
    room += COPIED * depth;
    size_t down = (s.rows + ROWS - 1) / ROWS, across = (s.width + W - 1) / W;
    bool by_rows = s.rows > s.width;
    Factor<T, ROWS> A{a, by_rows ? panels : room, s.rows, depth, across >= 3 && is_far_apart(a)};
    Factor<T, W> B{b, by_rows ? room : panels, s.width, depth, s.b_ends || (down >= 4 && is_far_apart(b))};
    if (by_rows) B.copy_all();
    else A.copy_all();
    Slice<T> now{c, A.shape(), B.shape(), s.rows, s.width, depth, s.ldc, adds};
    if (by_rows)
        for (size_t i = 0; i < down; ++i) {
            const T *x = A.panel(i);
            for (size_t j = 0; j < across; ++j) at(now, i, j, x, B.panel(j));
        }
    else
        for (size_t j = 0; j < across; ++j) {
            const T *y = B.panel(j);
            for (size_t i = 0; i < down; ++i) at(now, i, j, A.panel(i), y);
        }
}

template <class T> void tiles(T *c, const T *a, const T *b, const Tiles &s, T *room) {
    size_t most = tile_depth(s.rows, s.width), parts = (s.k + most - 1) / most;
    for (size_t p = 0; p < parts; ++p) {
        size_t from = p * s.k / parts, to = (p + 1) * s.k / parts;
        Panels<T> left{a + from * s.a_k, ROWS * s.a_row, s.a_k, s.a_row};
        Panels<T> right{b + from * s.ldb, s.b_panel ? s.b_panel : WIDTH<T>, s.ldb, 1};
        multiply_slice(c, left, right, s, to - from, p > 0, room);
    }
}

template <class T> void copy(T *out, const T *b, size_t rows, size_t width, size_t ldb, size_t panel) {
    copy_width<T, WIDTH<T>>(out, panel, b, ldb, rows, width);
}

template <class T> constexpr TileTable<T> table() { return {&tiles<T>, &copy<T>, WIDTH<T>}; }
#else
template <class T> constexpr TileTable<T> table() { return {nullptr, nullptr, 1}; }
#endif

}  // namespace

#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
extern "C" const TileTables JOINED(layerloop_tiles_, LAYERLOOP_ISA);
extern "C" const TileTables JOINED(layerloop_tiles_, LAYERLOOP_ISA) = {table<float>(), table<double>()};
