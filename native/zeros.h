// Dense rows that are mostly zeros, as pictures of strokes and counts of words are: the first layer computes with their
// other entries alone, in half the time. Each piece of a batch decides by its own rows.
#pragma once
#include "rows.h"

constexpr size_t PACKED_LEAST = 8;  // rows of a piece: with fewer it does not pay to look

// The entries of row i of the piece.
template <class T> Entries<T> entries_of_row(const Piece<T> &p, size_t i) {
    size_t at = p.starts[i];
    return {p.index_of_entries.get() + at, p.X + at, p.starts[i + 1] - at};
}

// The entries of a row of the data set; returns how many they are.
template <class T> size_t pack_row(int32_t *index, T *values, const Batch<T> &b, const void *row) {
    return entries_of<T>(kernels()).pack(index, values, row, b.net.n_in, b.rows.unit());
}

// The entries of row i of the batch, found or as they were found before.
template <class T> size_t take_entries(int32_t *index, T *values, const Batch<T> &b, size_t i) {
    if (!b.packed) return pack_row(index, values, b, row_of(b, i));
    const PackedRows::Row &row = b.packed->row(number_of_row(b, i));
    entries_of<T>(kernels()).widen(index, values, b.packed->places(row), row.values, row.count, b.rows.unit());
    return row.count;
}

// Whether the rows of the piece are now packed: not where they have too many entries, of which the first rows tell.
template <class T> bool pack_rows(Piece<T> &p, const Batch<T> &b) {
    size_t d = b.net.n_in, count = 0;
    if (!may_pack<T>(b.net) || p.n < PACKED_LEAST) return false;
    for (size_t i = 0; i < p.n; ++i) {
        p.starts[i] = count;
        count += take_entries(p.index_of_entries.get() + count, p.X + count, b, p.from + i);
        fetch_ahead(b, p.from, p.n, i);
        if (count > most_entries(i < PACKED_LEAST ? PACKED_LEAST : p.n, d)) return false;
    }
    p.starts[p.n] = count;
    return true;
}

// Whether a data set of `count` rows is mostly zeros, by some from everywhere.
template <class T> bool mostly_zeros(Workspace<T> &space, const Batch<T> &b, size_t count) {
    constexpr size_t LOOKED_AT = 16;
    if (b.sparse || !may_pack<T>(b.net)) return false;
    if (b.packed) return true;
    Piece<T> &p = space.pieces[0];
    size_t looked = std::min(count, LOOKED_AT), entries = 0;
    for (size_t i = 0; i < looked; ++i)
        entries += pack_row(p.index_of_entries.get(), p.X, b, row_at(b, i * count / looked));
    return entries <= looked * b.net.n_in / 4;
}

// The `count` rows of a data set, packed; null where they are not mostly zeros, or would take much memory.
template <class T>
std::unique_ptr<PackedRows> packed_rows(Workspace<T> &space, Pool &pool, const Batch<T> &b, size_t count) {
    constexpr size_t MOST = (size_t)1 << 30;  // bytes
    size_t d = b.net.n_in, size = b.rows.size();
    if (d > PackedRows::MOST_COLUMNS || PackedRows::bytes_of(count, most_entries(1, d), size) > MOST) return nullptr;
    if (!mostly_zeros(space, b, count)) return nullptr;
    auto rows = std::make_unique<PackedRows>(count, d, size);
    auto pack = [&](char *room, size_t i) {
        T *values = room_of_thread<T>(2 * (d + ENTRY_ROOM));  // and behind them, not longer, their places
        auto index = (int32_t *)(values + d + ENTRY_ROOM);
        auto row = (const char *)row_at(b, i);
        size_t found = pack_row(index, values, b, row);
        auto places = (uint16_t *)(room + rows->places_at(found));
        for (size_t e = 0; e < found; ++e) {
            places[e] = (uint16_t)index[e];
            std::memcpy(room + e * size, row + (size_t)index[e] * size, size);
        }
        return found;
    };
    return rows->fill(pool, most_entries(1, d), pack, [&] { return !b.watch->look(); }) ? std::move(rows) : nullptr;
}

// Whether the first layer's weights are finite: else their products with zeros are not zero.
template <class T> bool first_is_finite(const Batch<T> &b) {
    const Layer &layer = b.net.layers.front();
    return table_of<T>(kernels()).finite(b.w + layer.at, layer.n_in * layer.n_out);
}

// Calls f(row, j, width) for stretches of the outputs whose weights stay in the second-level cache together, and in
// each for all rows of the piece.
template <class T, class F> void by_stretches(const Piece<T> &p, const Batch<T> &b, size_t n_out, F &&f) {
    constexpr size_t STRETCH = 64;
    for (size_t j = 0; j < n_out && !b.watch->look(); j += STRETCH)
        for (size_t i = 0; i < p.n; ++i) f(i, j, std::min(STRETCH, n_out - j));
}

// T (n_out, n) <- W^T X^T
template <class T> void affine_packed(Piece<T> &p, const Batch<T> &b, T *t, const Layer &layer) {
    const T *W = b.w + layer.at;
    size_t out = layer.n_out;
    by_stretches(p, b, out, [&](size_t i, size_t j, size_t width) {
        entries_of<T>(kernels()).combine(p.side + i * out + j, W + j, entries_of_row(p, i), width, out);
    });
    table_of<T>(kernels()).transpose(t, p.side, p.n, out);
}

// dW (n_in, n_out) <- X^T D^T. Where D is not finite zeros count too: the rows are loaded anew, and it returns false.
template <class T> bool gradient_of_packed(Piece<T> &p, const Batch<T> &b, T *dW) {
    const Layer &layer = b.net.layers.front();
    size_t out = layer.n_out;
    if (!p.packed) return false;
    if (!table_of<T>(kernels()).finite(p.d[0], out * p.n)) {
        gather_rows(p, b);
        return false;
    }
    table_of<T>(kernels()).transpose(p.side, p.d[0], out, p.n);
    std::memset(dW, 0, layer.n_in * out * sizeof(T));
    by_stretches(p, b, out, [&](size_t i, size_t j, size_t width) {
        entries_of<T>(kernels()).spread(dW + j, p.side + i * out + j, entries_of_row(p, i), width, out);
    });
    return true;
}
