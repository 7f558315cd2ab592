// A stretch of training steps in one call.
#pragma once
#include "around.h"
#include "by_outputs.h"

#include <cmath>
#include <optional>

// One update of w, from entry `begin` on, from the pieces' gradients: summed and used block by block, while the block
// is in the cache.
template <class T>
void update(Workspace<T> &space, Pool &pool, const Rule<T> &rule, const Scalars<T> &s, size_t begin, size_t size,
            size_t count) {
    by_blocks(pool, size - begin, [&](size_t first, size_t last) {
        alignas(LINE) T room[UPDATE_BLOCK];
        for (size_t block = first; block < last; ++block) {
            size_t from = begin + block * UPDATE_BLOCK, to = std::min(from + UPDATE_BLOCK, size);
            const T *g = sum_parts(space, count, from, to, room);
            T *u = rule.u ? rule.u + from : nullptr, *v = rule.v ? rule.v + from : nullptr;
            table_of<T>(kernels()).step[rule.kind](rule.w + from, u, v, g, to - from, s);
        }
    });
}

// Running statistics as they are while a rule takes its step: the rule would make them decay.
template <class T> void hold(const Net &net, T *w, T *kept, bool back) {
    for (auto [from, to] : net.moved) {
        if (back) std::copy(kept, kept + (to - from), w + from);
        else std::copy(w + from, w + to, kept);
        kept += to - from;
    }
}

// One step for each `batch` entries of order (rows) of a data set of `all` rows; losses before each update go into
// `losses`. Returns the steps taken: a loss that is not finite, or a watch that says stop, ends the stretch without its
// update. `table` are the first layer's weights where the rows are sparse.
template <class T>
size_t train(Workspace<T> &space, Pool &pool, Batch<T> b, Rule<T> &rule, size_t all, size_t rows, size_t batch,
             double *losses, const Weights<T> &table, Around<T> &around) {
    size_t step = 0;
    space.reserve(b.net, std::min(batch, rows));
    space.reserve(b.net, rows % batch ? rows % batch : 1);
    std::optional<ByOutputs<T>> first;
    if (!around.used && ByOutputs<T>::suits(space, b, all, batch)) {
        first.emplace(b.net, rule, std::min(batch, rows), (size_t)pool.threads());
    }
    for (size_t start = 0; start < rows; start += batch, ++step) {
        b.n = std::min(batch, rows - start);
        b.next = start + 2 * batch <= rows ? b.order + batch : nullptr;
        size_t count = piece_count(b.n, b.net);
        b.step = (uint64_t)rule.t;
        bool by_outputs = first && first->loss_and_slopes(space, pool, b, count, losses[step]);
        if (!by_outputs) {
            if (first) first->give_back();
            losses[step] = loss_and_parts(space, pool, b, count);
        }
        losses[step] = (double)(T)losses[step];
        if (b.watch->stopped() || !std::isfinite(losses[step])) break;
        hold(b.net, rule.w, space.kept.get(), false);
        if (around.used) {
            update_around(space, pool, rule, around, b.net.size, count);
        } else {
            const Scalars<T> scalars = next_scalars(rule);
            if (by_outputs) first->update(space, pool, count, scalars);
            update(space, pool, rule, scalars, by_outputs ? b.net.layers.front().size : 0, b.net.size, count);
            if (b.sparse)
                update_table(space.columns, pool, *b.sparse, table, table_of<T>(kernels()).step[rule.kind], scalars);
        }
        if (first && !by_outputs) first->take();
        hold(b.net, rule.w, space.kept.get(), true);
        b.order += batch;
    }
    if (first) first->give_back();
    return step;
}
