// A stretch of training steps in one call.
#pragma once
#include "around.h"
#include "by_outputs.h"
#include "by_rows.h"

#include <cmath>
#include <optional>

// Calls apply(gradient, from, to) for all entries from `begin` on, with the pieces' gradients: summed and used block by
// block, while the block is in the cache. Where its norm is bounded all of the gradient is there already.
template <class T, class F>
void update(Workspace<T> &space, Pool &pool, const Around<T> &around, size_t begin, size_t size, size_t count,
            F &&apply) {
    by_blocks(pool, size - begin, [&](size_t first, size_t last) {
        alignas(LINE) T room[UPDATE_BLOCK];
        for (size_t block = first; block < last; ++block) {
            size_t from = begin + block * UPDATE_BLOCK, to = std::min(from + UPDATE_BLOCK, size);
            apply(around.bounds_norm() ? around.gradient.get() + from : sum_parts(space, count, from, to, room), from, to);
        }
    });
}

// Running statistics as they are while a rule takes its step, which would make them decay; and as they were before a step
// that does not come to its end.
template <class T> void hold(const Net &net, T *w, T *kept, bool back) {
    for (auto [from, to] : net.moved) {
        if (back) std::copy(kept, kept + (to - from), w + from);
        else std::copy(w + from, w + to, kept);
        kept += to - from;
    }
}

// What a stretch of steps goes by: the ways of taking a step that suit the network, its rows and the batch.
template <class T> struct Steps {
    Workspace<T> &space;
    Pool &pool;
    Rule<T> &rule;
    Around<T> &around;
    std::optional<ByOutputs<T>> first;
    std::optional<ByRows<T>> by_rows;
    bool by_outputs = false;  // the step at hand

    Steps(Workspace<T> &space, Pool &pool, Rule<T> &rule, Around<T> &around, Batch<T> &b, size_t all, size_t batch,
          size_t rows)
        : space(space), pool(pool), rule(rule), around(around) {
        bool zeros = mostly_zeros(space, b, all);
        if (zeros && !around.used && ByOutputs<T>::suits(b.net, batch))
            first.emplace(space, b.net, rule, std::min(batch, rows), (size_t)pool.threads());
        if (around.bounds_norm()) return;
        by_rows.emplace(space, b.net, batch, std::min(batch, rows), !zeros);
        if (by_rows->any()) by_rows->take(pool, rule.w), b.sides = by_rows->sides();
        else by_rows.reset();
    }

    // The mean loss of the batch, and what its gradient is taken from.
    double loss(const Batch<T> &b, size_t count) {
        double value;
        by_outputs = first && first->loss_and_slopes(space, pool, b, count, value);
        if (by_outputs) return value;
        if (first) first->give_back();
        return loss_and_parts(space, pool, b, count);
    }

    void update(const Batch<T> &b, size_t count, const Weights<T> &table) {
        AroundStep<T> now{};
        Scalars<T> scalars{};
        if (around.used) now = begin_around(space, pool, rule, around, b.net.size, count);
        else scalars = next_scalars(rule);
        auto apply = [&](const T *g, size_t from, size_t to) {
            if (around.used) step_around(rule, around, now, g, from, to);
            else step_on(rule, scalars, from, g, to - from);
        };
        size_t begin = by_outputs ? b.net.layers.front().size : 0;
        if (by_outputs) first->update(space, pool, count, scalars);
        if (by_rows) by_rows->update(space, pool, rule.w, b.n, count, begin, apply);
        else ::update(space, pool, around, begin, b.net.size, count, apply);
        if (b.sparse) update_table(space.columns, pool, *b.sparse, table, table_of<T>(kernels()).step[rule.kind], scalars);
        if (first && !by_outputs) first->take();
    }
};

// One step for each `batch` entries of order (rows) of a data set of `all` rows; losses before each update go into
// `losses`. Returns the steps taken: a loss that is not finite, or a watch that says stop, ends the stretch without its
// update. `table` are the first layer's weights where the rows are sparse.
template <class T>
size_t train(Workspace<T> &space, Pool &pool, Batch<T> b, Rule<T> &rule, size_t all, size_t rows, size_t batch,
             double *losses, const Weights<T> &table, Around<T> &around) {
    size_t step = 0;
    space.reserve(b.net, std::min(batch, rows));
    space.reserve(b.net, rows % batch ? rows % batch : 1);
    Steps<T> steps(space, pool, rule, around, b, all, batch, rows);
    for (size_t start = 0; start < rows; start += batch, ++step) {
        b.n = std::min(batch, rows - start);
        b.next = start + 2 * batch <= rows ? b.order + batch : nullptr;
        size_t count = piece_count(b.n, b.net);
        b.step = (uint64_t)rule.t;
        hold(b.net, rule.w, space.kept.get(), false);
        losses[step] = (double)(T)steps.loss(b, count);
        if (b.watch->stopped() || !std::isfinite(losses[step])) {
            hold(b.net, rule.w, space.kept.get(), true);
            break;
        }
        hold(b.net, rule.w, space.kept.get(), false);
        steps.update(b, count, table);
        hold(b.net, rule.w, space.kept.get(), true);
        b.order += batch;
    }
    if (steps.first) steps.first->give_back();
    return step;
}
