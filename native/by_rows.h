// Training steps in which the gradients of long weights are taken by rows of W, for the whole batch at once. By rows of
// the batch each thread would make a gradient as long as W and read that of every other; by rows of W the nodes go
// around instead, which are shorter, and the rule uses the gradient of a few rows while it is in the nearest cache.
// Stretches of the parameters follow from the network alone, and so do the bits.
#pragma once
#include "around.h"

template <class T> class ByRows {
  public:
    // For batches of `batch` rows, of which at most `rows` come; `first` says whether the first layer may be taken so.
    ByRows(Workspace<T> &space, const Net &net, size_t batch, size_t rows, bool first)
        : net_(net), sides_(net.layers.size()) {
        bool several = piece_count(batch, net) > 1;
        for (size_t i = 0; i < net.layers.size(); ++i)
            taken_.push_back(several && (i || first) && goes_by_rows(net.layers[i], batch));
        if (!any()) return;
        space.by_rows.lay_out([&](Arena &arena) {
            for (size_t i = 0; i < taken_.size(); ++i) {
                if (!taken_[i]) continue;
                sides_[i].z = arena.take<T>(rows * net.layers[i].n_in);
                sides_[i].d = arena.take<T>(rows * whole_panels<T>(net.layers[i].n_out));
                sides_[i].W = arena.take<T>(net.layers[i].n_in * whole_panels<T>(net.layers[i].n_out));
            }
        });
        add_stretches(batch);
        share_out(batch);
    }

    bool any() const { return std::find(taken_.begin(), taken_.end(), true) != taken_.end(); }
    const Sides<T> *sides() const { return sides_.data(); }

    // Calls apply(gradient, from, to) for all parameters from `begin` on, which is where a layer begins; of a batch of n
    // rows in `count` pieces.
    template <class F>
    void update(Workspace<T> &space, Pool &pool, const T *w, size_t n, size_t count, size_t begin, F &&apply) {
        pool.run((uint32_t)begins_.size() - 1, [&](uint32_t i) {
            T *room = room_of_thread<T>(room_);
            for (size_t s = begins_[i]; s < begins_[i + 1]; ++s) {
                auto [from, to, layer] = stretches_[s];
                if (from < begin) continue;
                apply(layer ? gradient(stretches_[s], n, room) : sum_parts(space, count, from, to, room), from, to);
                if (layer) copy(stretches_[s], w);
            }
        });
    }

    // The weights as they are now into the copies that the forward loop takes.
    void take(Pool &pool, const T *w) {
        pool.run((uint32_t)begins_.size() - 1, [&](uint32_t i) {
            for (size_t s = begins_[i]; s < begins_[i + 1]; ++s)
                if (stretches_[s].layer) copy(stretches_[s], w);
        });
    }

  private:
    // Parameters [from, to): some rows of a layer's W, or without a layer what the pieces have the gradient of.
    struct Stretch {
        size_t from, to;
        const Layer *layer;
    };

    const Net &net_;
    std::vector<Sides<T>> sides_;
    std::vector<bool> taken_;
    std::vector<Stretch> stretches_;
    std::vector<size_t> begins_;  // the first stretch of each task, and behind the last
    size_t room_ = UPDATE_BLOCK;  // entries: the gradient of a stretch, and what its product copies

    static constexpr size_t ROWS = 2 * TILE_ROWS;  // of W in a stretch: the slopes are gone through once for so many

    void add_stretches(size_t batch) {
        for (size_t i = 0; i < taken_.size(); ++i) {
            const Layer &layer = net_.layers[i];
            size_t end = layer.at + layer.size, rest = layer.at + (taken_[i] ? layer.n_in * layer.n_out : 0);
            add(layer.at, rest, ROWS * layer.n_out, &layer);
            if (taken_[i]) room_ = std::max(room_, ROWS * layer.n_out + tile_room(ROWS, layer.n_out, batch));
            add(rest, end, UPDATE_BLOCK, nullptr);
        }
    }

    void add(size_t from, size_t to, size_t size, const Layer *layer) {
        for (; from < to; from += size) stretches_.push_back({from, std::min(from + size, to), layer});
    }

    // About as much work for each task: multiply-adds over the batch, and the rule.
    void share_out(size_t batch) {
        constexpr size_t RULE = 16;  // multiply-adds that take as long
        auto work = [&](const Stretch &s) { return (s.to - s.from) * ((s.layer ? batch : 0) + RULE); };
        size_t tasks = std::min((size_t)Pool::TASKS, stretches_.size()), all = 0, done = 0;
        for (const Stretch &s : stretches_) all += work(s);
        for (size_t s = 0; s < stretches_.size(); ++s) {
            while (begins_.size() <= tasks * done / all) begins_.push_back(s);
            done += work(stretches_[s]);
        }
        begins_.resize(tasks + 1, stretches_.size());
    }

    size_t row_of(const Stretch &at) const { return (at.from - at.layer->at) / at.layer->n_out; }
    const Sides<T> &sides_of(const Stretch &at) const { return sides_[(size_t)(at.layer - net_.layers.data())]; }

    void copy(const Stretch &at, const T *w) const {
        size_t in = at.layer->n_in, out = at.layer->n_out, columns = panel_columns<T>();
        T *into = sides_of(at).W + row_of(at) * columns;
        tiles_of<T>(kernels()).copy(into, w + at.from, (at.to - at.from) / out, out, out, columns * in);
    }

    // dW <- Z^T D for some rows
    const T *gradient(const Stretch &at, size_t n, T *room) const {
        const Sides<T> &side = sides_of(at);
        size_t in = at.layer->n_in, out = at.layer->n_out, columns = panel_columns<T>();
        Tiles shape{(at.to - at.from) / out, out, n, 1, in, columns, out, columns * n};
        tiles_of<T>(kernels()).multiply(room, side.z + row_of(at), side.d, shape, room + ROWS * out);
        return room;
    }
};
