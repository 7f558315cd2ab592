// The buffers that a batch is computed in, piece by piece; they are kept between calls.
//
// Letters as in engine/reference.py: X (n, d) rows as they come; Z_i (n_i, n) feature-major, T pre-activations, D the
// gradient in them, W (n_in, n_out) with the biases b below it in one block of the flat vector w.
#pragma once
#include "memory.h"
#include "net.h"

#include <algorithm>
#include <cstring>
#include <vector>

// The buffers of one piece of at most `capacity` rows, and what was computed in them.
template <class T> struct Piece {
    size_t capacity = 0, n = 0, from = 0;  // n rows of the batch, the first of them `from`
    Arena memory;
    Buffer<int64_t> index;
    Buffer<double> losses;  // of the rows
    Buffer<int32_t> index_of_entries;  // of packed rows, whose values are in X; row i has those from starts[i] on
    Buffer<size_t> starts;
    bool packed = false;
    T *X = nullptr, *P = nullptr, *Q = nullptr, *m = nullptr, *Y = nullptr, *weights = nullptr, *gradient = nullptr;
    T *input = nullptr, *zeros = nullptr, *side = nullptr;
    const T *x = nullptr;  // the rows: X, or the caller's own
    std::vector<T *> t, z, d, aux;
    std::vector<const T *> node;  // what each layer takes, the last what the head takes
    double loss = 0;

    void reserve(const Net &net, size_t rows) {
        if (rows <= capacity && zeros) return;
        memory.lay_out([&](Arena &arena) { carve(net, rows, arena); });
        if (may_pack<T>(net)) {
            index_of_entries = buffer<int32_t>(entry_room(rows, net.n_in));
            starts = buffer<size_t>(rows + 1);
        }
        index = buffer<int64_t>(rows * net.members), losses = buffer<double>(rows * net.members);
        std::memset(zeros, 0, widest(net) * sizeof(T));
        capacity = rows;
    }

  private:
    // Lays the arrays out one after another, each with the room behind it that products by tiles need.
    void carve(const Net &net, size_t rows, Arena &arena) {
        auto take = [&](size_t count) { return arena.take<T>(count + ROOM); };
        t.clear(), z.clear(), d.clear(), aux.clear();
        for (const Layer &layer : net.layers) {
            size_t count = layer.n_out * rows * layer.times;
            t.push_back(take(count));
            z.push_back(layer.keeps_t ? take(count) : t.back());
            d.push_back(take(count));
            aux.push_back(take(aux_count(layer, rows * layer.times)));
        }
        node.assign(net.layers.size() + 1, nullptr);
        size_t all = rows * net.members;
        P = take(net.K * all);
        Q = take(net.K * all);
        Y = take(net.K * all);
        m = take(all);
        weights = take(all);
        side = take(widest(net) * all);
        zeros = take(widest(net));
        input = take(net.takes_rows() ? 0 : net.n_in * rows);
        gradient = take(net.size);
        X = take(std::max(net.n_in * rows, may_pack<T>(net) ? entry_room(rows, net.n_in) : 0));
    }
};

template <class T> struct Workspace {
    std::vector<Piece<T>> pieces;
    Buffer<T> kept;  // room for the running statistics
    size_t rows = 0;
    Columns<T> columns[COLUMN_PARTS];  // of a batch of sparse rows, with the gradient in its first layer
    Buffer<T> slopes;
    Arena by_rows, by_outputs;  // of the classes of those names

    // Makes room for batches of n rows; to be called anew for a smaller batch, whose fewer pieces may be longer.
    void reserve(const Net &net, size_t n) {
        size_t count = piece_count(n, net);
        if (pieces.size() < count) pieces.resize(count);
        size_t each = (n + count - 1) / count;
        for (size_t i = 0; i < count; ++i) pieces[i].reserve(net, each);
        rows = std::max(rows, n);
        size_t statistics = 0;
        for (auto [from, to] : net.moved) statistics += to - from;
        if (!kept) kept = buffer<T>(statistics);
    }

    // Makes room for batches of n sparse rows with so many entries.
    void reserve(Sparse<T> &sparse, size_t n, size_t entries) {
        for (size_t part = 0; part < parts_of(sparse); ++part) columns[part].reserve(entries, sparse.n_out);
        slopes = buffer<T>(n * sparse.n_out);
        sparse.D = slopes.get();
    }
};

// The first of n rows that piece i of `count` takes.
inline size_t begin_of(size_t i, size_t n, size_t count) { return i * n / count; }

template <class T> void take_rows(Piece<T> &p, size_t i, size_t n, size_t count) {
    p.from = begin_of(i, n, count), p.n = begin_of(i + 1, n, count) - p.from;
}
