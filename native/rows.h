// The rows of a data set as a piece takes them: asked for early, and gathered.
#pragma once
#include "piece.h"

// A row of the data set as it lies there: numbers or bytes.
template <class T> const void *row_at(const Batch<T> &b, size_t row) {
    size_t at = row * b.net.n_in;
    return b.rows.bytes ? (const void *)(b.rows.bytes + at) : b.rows.floats + at;
}

template <class T> size_t number_of_row(const Batch<T> &b, size_t i) { return b.order ? (size_t)b.order[i] : i; }
template <class T> const void *row_of(const Batch<T> &b, size_t i) { return row_at(b, number_of_row(b, i)); }

template <class T> void fetch_row(const Batch<T> &b, size_t row) {
    if (!b.packed) return fetch(row_at(b, row), b.net.n_in * b.rows.size());
    const PackedRows::Row &kept = b.packed->row(row);
    fetch(kept.values, b.packed->bytes(kept.count));
}

// Asks for the row that comes some rows after row i of the n that begin at `from`: soon enough for the memory, not so
// early that the caches have forgotten it. Behind the last come the first of the same part of the next batch.
template <class T> void fetch_ahead(const Batch<T> &b, size_t from, size_t n, size_t i) {
    constexpr size_t AHEAD = 8;
    size_t soon = i + AHEAD;
    if (!b.order) return;  // rows in their order the memory foresees
    if (b.packed && soon + AHEAD < n) fetch(&b.packed->row((size_t)b.order[from + soon + AHEAD]), LINE);
    if (soon < n) return fetch_row(b, (size_t)b.order[from + soon]);
    soon -= n;
    if (b.next && soon < n) fetch_row(b, (size_t)b.next[from + soon]);
}

// Whether the gradient in a layer's weights is taken for the whole batch at once.
template <class T> bool hands_over(const Batch<T> &b, size_t i) { return b.sides && b.sides[i].d; }

template <class T> void gather_rows(Piece<T> &p, const Batch<T> &b) {
    size_t d = b.net.n_in;
    if (!b.rows.bytes && !b.order) {
        p.x = b.rows.floats + p.from * d;
        return;
    }
    T *X = hands_over(b, 0) && b.net.takes_rows() ? b.sides[0].z + p.from * d : p.X;
    for (size_t i = 0; i < p.n; ++i) {
        const void *row = row_of(b, p.from + i);
        if (b.rows.bytes) table_of<T>(kernels()).unpack(X + i * d, (const uint8_t *)row, d, b.rows.scale);
        else std::memcpy(X + i * d, row, d * sizeof(T));
        fetch_ahead(b, p.from, p.n, i);
    }
    p.x = X;
}
