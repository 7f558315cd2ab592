// The table of kernels, one for each instruction set; dispatch.cpp chooses among them at run time.
//
// Letters: a batch of n rows is kept feature-major, (width, n): each feature contiguous over the rows, so that every
// loop below runs along the rows however narrow a layer is. t pre-activations, z = f(t) outputs, D the gradient in t.
#pragma once
#include "layers_kernels.h"
#include "losses_kernels.h"

#include <stddef.h>
#include <stdint.h>

enum { ACTIVATION_COUNT = 12, RULE_COUNT = 11 };

// In the order of engine/native.py: first the rule without a slot, then those with one, from adam on those with two.
enum RuleKind { descent_rule, momentum_rule, nesterov_rule, rmsprop_rule, adagrad_rule, lion_rule, adam_rule, adamw_rule,
                nadam_rule, radam_rule, adam_hat_rule };

// Scalars of an update in the order in which the rules of optim/ apply them; each rule names its own in kernels.cpp.
template <class T> struct Scalars {
    T a, b, c, d, e, f, h;
};

// What is done to a gradient before a rule steps along it.
template <class T> struct Changes {
    T bound, factor, l2;
};

template <class T> struct Table {
    // x (d) <- scale * bytes (d)
    void (*unpack)(T *x, const uint8_t *bytes, size_t d, T scale);
    // whether none of x (count) is NaN or infinity
    bool (*finite)(const T *x, size_t count);
    // out (cols, rows) <- in (rows, cols)
    void (*transpose)(T *out, const T *in, size_t rows, size_t cols);
    // t (width, n) <- t + bias, z <- f(t); z may be t where f' does not need t
    void (*forward[ACTIVATION_COUNT])(T *z, T *t, const T *bias, size_t width, size_t n);
    // D <- f'(t) * D, flat; where f' does not need t, t is z
    void (*backward[ACTIVATION_COUNT])(T *D, const T *t, const T *z, size_t count);
    // out (width) <- sums of D (width, n) over its rows
    void (*row_sums)(T *out, const T *D, size_t width, size_t n);
    // out <- out + a
    void (*add)(T *out, const T *a, size_t count);
    // g_out <- g kept within the bound, times factor, plus l2 w
    void (*prepare)(T *out, const T *g, const T *w, size_t count, const Changes<T> &c);
    // the sum of squares
    double (*squares)(const T *g, size_t count);
    // a <- a + share (w - a)
    void (*average)(T *a, const T *w, T share, size_t count);
    // one step of a rule: w, and the slots u and v where it has them
    void (*step[RULE_COUNT])(T *w, T *u, T *v, const T *g, size_t count, const Scalars<T> &s);
    // the plain product for machines without a BLAS; as xGEMM with alpha = 1 and beta = 0
    void (*product)(T *C, const T *A, const T *B, const struct Product &p);
};

// Column-major C (m, n) <- op(A) (m, k) op(B) (k, n), with leading dimensions; added to what C holds where `adds`.
struct Product {
    bool trans_a, trans_b;
    int64_t m, n, k, lda, ldb, ldc;
    bool adds = false;
};

// Row-major c (rows, width) <- a (rows, k) b (k, width); an entry of a lies at row * a_row + k * a_k, one of them 1. Up to
// a vector's length (16 entries) beyond each row of b is read: b needs that much room behind it, or else `b_ends`. Where
// `b_panel` is not 0, b lies in panels: so many columns as TileTable says side by side, ldb apart, the next panel b_panel on.
struct Tiles {
    size_t rows, width, k, a_row, a_k, ldb, ldc, b_panel = 0;
    bool b_ends = false;
};
constexpr size_t ROOM = 32;
constexpr size_t COPIED = 48;  // entries of a row, at most, that are copied at a time
constexpr size_t TILE_ROWS = 12;  // that are computed at a time, or a part of them

// Null where the instruction set has too few registers for tiles.
template <class T> struct TileTable {
    // with room for tile_room(...) entries
    void (*multiply)(T *c, const T *a, const T *b, const Tiles &s, T *room);
    // Rows (rows, width) <- of b, ldb apart, into panels that begin at `out`, the next one `panel` on.
    void (*copy)(T *out, const T *b, size_t rows, size_t width, size_t ldb, size_t panel);
    size_t columns;  // of a panel
};

struct TileTables {
    TileTable<float> f32;
    TileTable<double> f64;
};

// How much of the depth is gone through at a time, as measured: panels of b that meet every panel of a in turn are to stay
// near; where those of a meet one of b, more depth writes c less often.
inline size_t tile_depth(size_t rows, size_t width) { return rows > width ? 256 : 1024; }

// Entries of the copies that a product by tiles makes: of its shorter factor, and of some panels of the other.
inline size_t tile_room(size_t rows, size_t width, size_t k) {
    size_t shorter = rows > width ? width : rows, most = tile_depth(rows, width);
    return (shorter + ROOM + COPIED) * (k < most ? k : most);
}

// The entries of a row that are not zero.
template <class T> struct Entries {
    const int32_t *index;
    const T *values;
    size_t count;
};

template <class T> struct EntryTable {
    // The entries of a row (d) of numbers, or of bytes times a scale, into index and values, which need room for
    // ENTRY_ROOM more than there are; returns how many
    size_t (*pack)(int32_t *index, T *values, const void *row, size_t d, const T *scale);
    // The same from a packed row: `count` places, and as many numbers, or bytes times a scale
    void (*widen)(int32_t *index, T *values, const uint16_t *places, const void *kept, size_t count, const T *scale);
    // out (width) <- the sum of the entries' values times the rows of M that they name, `stride` from one to the next
    void (*combine)(T *out, const T *M, const Entries<T> &x, size_t width, size_t stride);
    // rows of M that the entries name, each once, <- themselves + the entry's value times d (width)
    void (*spread)(T *M, const T *d, const Entries<T> &x, size_t width, size_t stride);
};
constexpr size_t ENTRY_ROOM = 16;

struct EntryTables {
    EntryTable<float> f32;
    EntryTable<double> f64;
};

struct Kernels {
    const char *isa;
    Table<float> f32;
    Table<double> f64;
    const TileTables *tiles;
    const EntryTables *entries;
    const LayerTables *layers;
    const LossTables *losses;
};

template <class T> const TileTable<T> &tiles_of(const Kernels &kernels);
template <> inline const TileTable<float> &tiles_of(const Kernels &kernels) { return kernels.tiles->f32; }
template <> inline const TileTable<double> &tiles_of(const Kernels &kernels) { return kernels.tiles->f64; }

template <class T> const EntryTable<T> &entries_of(const Kernels &kernels);
template <> inline const EntryTable<float> &entries_of(const Kernels &kernels) { return kernels.entries->f32; }
template <> inline const EntryTable<double> &entries_of(const Kernels &kernels) { return kernels.entries->f64; }

template <class T> const LayerTable<T> &layers_of(const Kernels &kernels);
template <> inline const LayerTable<float> &layers_of(const Kernels &kernels) { return kernels.layers->f32; }
template <> inline const LayerTable<double> &layers_of(const Kernels &kernels) { return kernels.layers->f64; }

template <class T> const LossTable<T> &losses_of(const Kernels &kernels);
template <> inline const LossTable<float> &losses_of(const Kernels &kernels) { return kernels.losses->f32; }
template <> inline const LossTable<double> &losses_of(const Kernels &kernels) { return kernels.losses->f64; }

template <class T> const Table<T> &table_of(const Kernels &kernels);
template <> inline const Table<float> &table_of(const Kernels &kernels) { return kernels.f32; }
template <> inline const Table<double> &table_of(const Kernels &kernels) { return kernels.f64; }

const Kernels &kernels();            // the table in use
bool select_isa(const char *name);   // "" for the best; false where this machine has no such thing
