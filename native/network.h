// The loops of the engine over one batch: forward, loss, backward. Letters as in piece.h.
#pragma once
#include "layers.h"
#include "pool.h"

#include <cstring>

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
