// Training steps whose first layer is shared out by its outputs, where the rows are mostly zeros. By rows each thread
// would need all weights of that layer and hand over a gradient of that size in every step, which takes longer than the
// sums themselves; by outputs each thread keeps its own weights, slots and gradient in its core's cache. Each looks for
// the entries of all rows itself: to write over what another core has read takes longer than to find them twice.
//
// A stretch of outputs has its own block: the rows of W (d, width), then the biases; the same for the slots and the
// gradient. Blocks are filled from the flat vectors when a call begins and written back when it ends, or when a step has
// to be taken the other way: with numbers that are not finite, whose product with zero is NaN. Stretches and pieces
// follow from the network and the batch alone, and so do the bits.
#pragma once
#include "rule.h"

#include <atomic>

template <class T> class ByOutputs {
  public:
    // Whether steps on rows that are mostly zeros can be taken so.
    static bool suits(const Net &net, size_t batch) {
        constexpr size_t MOST = 1024;  // rows: of so many, what goes around weighs little, and entries take much room
        const Layer &layer = net.layers.front();
        return net.moved.empty() && batch >= PACKED_LEAST && batch <= MOST && layer.n_out > width_for(layer);
    }

    // For batches of at most `batch` rows.
    ByOutputs(Workspace<T> &space, const Net &net, const Rule<T> &rule, size_t batch, size_t threads)
        : layer_(net.layers.front()), rule_(rule), d_(layer_.n_in), out_(layer_.n_out), width_(width_for(layer_)),
          count_((out_ + width_ - 1) / width_), block_((d_ + 1) * width_),
          groups_(std::min(threads, std::min(count_, (size_t)Pool::TASKS))) {
        space.by_outputs.lay_out([&](Arena &arena) {
            for (Group &group : groups_) {
                group.index = arena.take<int32_t>(batch * d_ + ENTRY_ROOM);
                group.values = arena.take<T>(batch * d_ + ENTRY_ROOM);
                group.starts = arena.take<size_t>(batch + 1), group.side = arena.take<T>(batch * width_);
                group.sums = arena.take<T>(width_);
            }
            slopes_ = arena.take<T>(count_ * block_);
            for (Kept &kept : kept_) kept.blocks = kept.flat(rule_) ? arena.take<T>(count_ * block_) : nullptr;
        });
        for (Kept &kept : kept_)
            if (kept.blocks) std::fill_n(kept.blocks, count_ * block_, (T)0);
        finite_.assign(count_, 1);
        take();
    }

    // The mean loss of the batch and the slopes of all layers; returns false where they are to be had the other way.
    bool loss_and_slopes(Workspace<T> &space, Pool &pool, const Batch<T> &b, size_t count, double &loss) {
        if (!std::all_of(finite_.begin(), finite_.end(), [](char yes) { return yes; })) return false;
        for (size_t i = 0; i < count; ++i) take_rows(space.pieces[i], i, b.n, count);
        pool.run((uint32_t)groups_.size(), [&](uint32_t i) { forward(space, b, count, i); });
        std::atomic<bool> fits{true};
        pool.run((uint32_t)count, [&](uint32_t i) {
            if (!other_layers(space.pieces[i], b)) fits = false;
        });
        loss = mean_loss(space, b, count);
        return fits;
    }

    // One step of the rule on the first layer.
    void update(Workspace<T> &space, Pool &pool, size_t count, const Scalars<T> &scalars) {
        pool.run((uint32_t)groups_.size(), [&](uint32_t i) {
            for_stretches(i, [&](size_t s) {
                gradient(space, count, s, groups_[i]);
                T *w = kept_[0].block(s, block_), *u = kept_[1].block(s, block_), *v = kept_[2].block(s, block_);
                table_of<T>(kernels()).step[rule_.kind](w, u, v, slopes_ + s * block_, block_, scalars);
                finite_[s] = table_of<T>(kernels()).finite(w, block_);
            });
        });
    }

    // The flat vectors into the blocks, and back.
    void take() {
        each([&](T *block, T *flat, size_t live) { std::memcpy(block, flat, live * sizeof(T)); });
        for (size_t s = 0; s < count_; ++s)
            finite_[s] = table_of<T>(kernels()).finite(kept_[0].block(s, block_), block_);
    }
    void give_back() {
        each([&](T *block, T *flat, size_t live) { std::memcpy(flat, block, live * sizeof(T)); });
    }

  private:
    // The parameters or a slot.
    struct Kept {
        T *Rule<T>::*which;
        T *blocks;
        T *flat(const Rule<T> &rule) const { return rule.*which; }
        T *block(size_t s, size_t size) const { return blocks ? blocks + s * size : nullptr; }
    };

    // Stretches that one thread takes, and what it knows of the batch: the entries of row i from starts[i] on.
    struct Group {
        int32_t *index;
        T *values, *side, *sums;
        size_t *starts;
        Entries<T> row(size_t i) const { return {index + starts[i], values + starts[i], starts[i + 1] - starts[i]}; }
    };

    const Layer &layer_;
    const Rule<T> &rule_;
    size_t d_, out_, width_, count_, block_;
    std::vector<Group> groups_;
    Kept kept_[3] = {{&Rule<T>::w, nullptr}, {&Rule<T>::u, nullptr}, {&Rule<T>::v, nullptr}};
    T *slopes_ = nullptr;
    std::vector<char> finite_;

    // Outputs of a stretch: whole cache lines, so that no two threads write to one, and enough stretches to share.
    static size_t width_for(const Layer &layer) {
        size_t line = LINE / sizeof(T), width = line;
        while (width < 4 * line && layer.n_out > 8 * width) width *= 2;
        return width;
    }

    size_t from(size_t s) const { return s * width_; }
    size_t live(size_t s) const { return std::min(width_, out_ - from(s)); }
    template <class F> void for_stretches(size_t group, F &&f) {
        size_t last = begin_of(group + 1, count_, groups_.size());
        for (size_t s = begin_of(group, count_, groups_.size()); s < last; ++s) f(s);
    }

    // Calls f with every row of every block and where it stands in the flat vectors; what lies beyond the outputs is 0.
    template <class F> void each(F &&f) {
        for (Kept &kept : kept_) {
            if (!kept.blocks) continue;
            T *flat = kept.flat(rule_) + layer_.at;
            for (size_t s = 0; s < count_; ++s)
                for (size_t row = 0; row <= d_; ++row)
                    f(kept.block(s, block_) + row * width_, flat + row * out_ + from(s), live(s));
        }
    }

    // The entries of all rows of the batch.
    void pack(const Batch<T> &b, Group &group) {
        group.starts[0] = 0;
        for (size_t i = 0; i < b.n; ++i) {
            size_t at = group.starts[i];
            fetch_ahead(b, 0, b.n, i);
            group.starts[i + 1] = at + take_entries(group.index + at, group.values + at, b, i);
        }
    }

    void forward(Workspace<T> &space, const Batch<T> &b, size_t count, size_t i) {
        Group &group = groups_[i];
        if (b.watch->look()) return;
        pack(b, group);
        for_stretches(i, [&](size_t s) {
            for (size_t q = 0; q < count && !b.watch->look(); ++q) forward(space.pieces[q], s, group);
        });
    }

    void forward(Piece<T> &p, size_t s, Group &group) {
        const Table<T> &k = table_of<T>(kernels());
        const T *w = kept_[0].block(s, block_);
        T factor = numbers_of<T>(layer_)[0], *t = p.t[0] + from(s) * p.n, *side = group.side;
        for (size_t i = 0; i < p.n; ++i)
            entries_of<T>(kernels()).combine(side + i * live(s), w, group.row(p.from + i), live(s), width_);
        k.transpose(t, side, p.n, live(s));
        if (factor != 1) layers_of<T>(kernels()).shrink(t, factor, live(s) * p.n);
        k.forward[layer_.activation](p.z[0] + from(s) * p.n, t, w + d_ * width_, live(s), p.n);
    }

    // Everything behind the first layer, to the slopes in its pre-activations; returns whether those are finite.
    bool other_layers(Piece<T> &p, const Batch<T> &b) {
        if (b.watch->look()) return true;
        load_wanted(p, b);
        p.node[1] = p.z[0];
        forward_loop(p, b, 1);
        p.loss = loss_of(p, b);
        backward_loop(p, b, 1);
        table_of<T>(kernels()).backward[layer_.activation](p.d[0], p.t[0], p.z[0], out_ * p.n);
        return table_of<T>(kernels()).finite(p.d[0], out_ * p.n);
    }

    void gradient(Workspace<T> &space, size_t count, size_t s, Group &group) {
        const Table<T> &k = table_of<T>(kernels());
        T *g = slopes_ + s * block_, *sums = group.sums, *side = group.side;
        T factor = numbers_of<T>(layer_)[0];
        std::memset(g, 0, block_ * sizeof(T));
        for (size_t q = 0; q < count; ++q) {
            const Piece<T> &p = space.pieces[q];
            const T *d = p.d[0] + from(s) * p.n;
            k.row_sums(sums, d, live(s), p.n);
            k.add(g + d_ * width_, sums, live(s));
            k.transpose(side, d, live(s), p.n);
            for (size_t i = 0; i < p.n; ++i)
                entries_of<T>(kernels()).spread(g, side + i * live(s), group.row(p.from + i), live(s), width_);
        }
        if (factor != 1) layers_of<T>(kernels()).shrink(g, factor, d_ * width_);
    }
};
