// The loops of the engine over one batch: forward, loss, backward, in buffers that are kept between calls.
//
// Letters as in engine/reference.py: X (n, d) rows as they come; Z_i (n_i, n) feature-major, T pre-activations, D the
// gradient in them, W (n_in, n_out) with the biases b below it in one block of the flat vector w.
#pragma once
#include "blas.h"
#include "memory.h"
#include "net.h"
#include "pool.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>
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

// -- loading -----------------------------------------------------------------------------------------------------

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

#include "zeros.h"

// The rows of a piece, turned to features where the first layer wants them so.
template <class T> void load_rows(Piece<T> &p, const Batch<T> &b) {
    p.node[0] = p.input;
    if (b.sparse) return;
    p.packed = !hands_over(b, 0) && pack_rows(p, b) && first_is_finite(b);
    if (p.packed) return;
    gather_rows(p, b);
    if (!b.net.takes_rows()) table_of<T>(kernels()).transpose(p.input, p.x, p.n, b.net.n_in);
}

// Targets and weights of a piece, once for each member; spread ones as engine/losses.py does it.
template <class T> void load_wanted(Piece<T> &p, const Batch<T> &b) {
    const Wanted<T> &wanted = b.wanted;
    size_t rows = p.n * b.net.members, K = b.net.K;
    T keep = 1 - wanted.smoothing, spread = wanted.smoothing / (T)K;
    for (size_t i = 0; i < rows; ++i) {
        size_t sample = p.from + i % p.n, row = b.order ? (size_t)b.order[sample] : sample;
        if (wanted.weights) p.weights[i] = wanted.weights[row];
        if (wanted.by_index()) {
            p.index[i] = wanted.index[row];
            continue;
        }
        for (size_t c = 0; c < K; ++c)
            p.Y[c * rows + i] = wanted.index ? spread : wanted.rows[row * K + c] * keep + spread;
        if (wanted.index) p.Y[(size_t)wanted.index[row] * rows + i] += keep;
    }
}

// -- the two loops -----------------------------------------------------------------------------------------------

#include "layer_products.h"
#include "layers.h"

// Whether to stop before a layer; one that is done in microseconds is not worth a look.
template <class T> bool told_to_stop(const Piece<T> &p, const Batch<T> &b, const Layer &layer) {
    constexpr size_t WORTH = 1 << 16;  // entries
    return b.watch->stopped() || (p.n * layer.times * (layer.n_in + layer.n_out) > WORTH && b.watch->look());
}

template <class T> void forward_loop(Piece<T> &p, const Batch<T> &b, size_t first = 0) {
    for (size_t i = first; i < b.net.layers.size(); ++i) {
        if (told_to_stop(p, b, b.net.layers[i])) p.node[i + 1] = p.z[i];
        else forward_layer(p, b, i);
    }
}

// Entries that the mean loss is a mean over: rows of all members, times the outputs where it is taken over those too.
template <class T> double entries_of(const Batch<T> &b) {
    return (double)b.n * (double)b.net.members * (is_by_entry(b.wanted.loss) ? (double)b.net.K : 1.0);
}

template <class T> Shape<T> shape_of(const Piece<T> &p, const Batch<T> &b) {
    return {p.n * b.net.members, b.net.k, b.net.K, (T)(1.0 / entries_of(b))};
}

// P <- the outputs; the identity's are the scores themselves
template <class T> const T *head_forward(Piece<T> &p, const Batch<T> &b) {
    if (b.net.head == Head::identity) return p.node.back();
    losses_of<T>(kernels()).head[(size_t)b.net.head](p.P, p.m, p.node.back(), shape_of(p, b));
    return p.P;
}

// The sum of the losses of the piece; the gradient in the scores goes into the last D.
template <class T> double loss_of(Piece<T> &p, const Batch<T> &b) {
    const LossTable<T> &k = losses_of<T>(kernels());
    Shape<T> shape = shape_of(p, b);
    Targets<T> y{b.wanted.by_index() ? p.index.get() : nullptr, p.Y, b.wanted.columns};
    const T *weights = b.wanted.weights ? p.weights : nullptr;
    T *D = p.d.back();
    bool of_scores = takes_scores(b.wanted.loss) || b.net.head == Head::identity;
    const T *given = of_scores ? p.node.back() : head_forward(p, b);
    k.loss[(size_t)b.wanted.loss](p.Q, p.losses.get(), p.m, given, y, shape);
    double sum = k.weighted(of_scores ? D : p.Q, p.Q, p.losses.get(), weights, of_scores ? shape.k : shape.K, shape);
    if (!of_scores) k.head_back[(size_t)b.net.head](D, p.m, p.P, p.Q, shape);
    return sum;
}

template <class T> void backward_loop(Piece<T> &p, const Batch<T> &b, size_t first = 0) {
    for (size_t i = b.net.layers.size(); i-- > first;) {
        if (told_to_stop(p, b, b.net.layers[i])) return;
        backward_layer(p, b, i);
        for (size_t j = i + 1; i && j < b.net.layers.size(); ++j)  // the ways around that begin at this layer's input
            if (b.net.layers[j].skip == (int64_t)i)
                table_of<T>(kernels()).add(p.d[i - 1], p.d[j], b.net.layers[i].n_in * p.n * b.net.layers[j].times);
    }
}

// One piece of a batch from its rows to its gradient; what it leaves is of no worth once the watch says stop.
template <class T> void both_loops(Workspace<T> &space, const Batch<T> &b, size_t i, size_t count) {
    Piece<T> &p = space.pieces[i];
    take_rows(p, i, b.n, count);
    if (b.watch->look()) return;
    load_rows(p, b);
    load_wanted(p, b);
    forward_loop(p, b);
    p.loss = loss_of(p, b);
    backward_loop(p, b);
}

template <class T> double mean_loss(const Workspace<T> &space, const Batch<T> &b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; ++i) sum += space.pieces[i].loss;
    return sum / entries_of(b);
}

// The mean loss of a batch; the pieces keep their parts of the gradient.
template <class T> double loss_and_parts(Workspace<T> &space, Pool &pool, const Batch<T> &b, size_t count) {
    size_t parts = b.sparse ? parts_of(*b.sparse) : 0, tasks = count + parts;
    pool.run((uint32_t)tasks, [&](uint32_t i) {
        // the columns' parts stand at the end of as many equal stretches of the tasks
        size_t part = i * parts / tasks;
        if ((i + 1) * parts / tasks > part) space.columns[part].sort(*b.sparse, b.order, b.n, part);
        else both_loops(space, b, i - part, count);
    });
    return mean_loss(space, b, count);
}

// The sum of the pieces' gradients over entries [from, to), in the pieces' order: in `room`, so that the cache does not
// write sums back to the pieces, or where the only piece has it.
template <class T> const T *sum_parts(Workspace<T> &space, size_t count, size_t from, size_t to, T *room) {
    const T *first = space.pieces[0].gradient + from;
    if (count == 1) return first;
    std::memcpy(room, first, (to - from) * sizeof(T));
    for (size_t i = 1; i < count; ++i) table_of<T>(kernels()).add(room, space.pieces[i].gradient + from, to - from);
    return room;
}
