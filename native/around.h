// What may be put around a rule: clipping, both kinds of weight decay, factors of the rate, a mean of the parameters.
// The order of things is that of optim/adjusted.py.
#pragma once
#include "rule.h"

#include <limits>

// A stretch of the parameters with factors of its own, and its scalars of the step at hand.
template <class T> struct PartOf {
    size_t start, stop;
    double rate, decay;
    Scalars<T> scalars;
    T keep;  // what decoupled decay leaves of a parameter
};

template <class T> struct Around {
    bool used = false;
    double clip_value = 0, clip_norm = 0, l2 = 0;  // the bounds are infinite where there is none
    std::vector<PartOf<T>> parts;
    const double *decays = nullptr, *shares = nullptr;  // of each step: decoupled decay, and the newest w's in the mean
    T *average = nullptr;
    Buffer<T> gradient;    // all of it, where its norm is bounded
    Buffer<double> squares;  // of each block
    double *penalties = nullptr;  // of each step: |w|^2 of what decays, before the update

    bool bounds_norm() const { return used && clip_norm < std::numeric_limits<double>::infinity(); }
};

constexpr size_t UPDATE_BLOCK = 2048;  // entries

// Calls f(first block, last block) on as many threads as pay.
template <class F> void by_blocks(Pool &pool, size_t size, F &&f) {
    constexpr size_t WORTH = 4096;  // entries
    size_t blocks = (size + UPDATE_BLOCK - 1) / UPDATE_BLOCK;
    size_t tasks = size < WORTH ? 1 : std::min({(size_t)pool.threads(), (size_t)Pool::TASKS, blocks});
    pool.run((uint32_t)tasks, [&](uint32_t i) { f(begin_of(i, blocks, tasks), begin_of(i + 1, blocks, tasks)); });
}

// What the gradient is multiplied by so that its norm is bounded; leaves all of it in a.gradient, clipped by value.
template <class T> double bounded(Workspace<T> &space, Pool &pool, Around<T> &a, size_t size, size_t count) {
    const Table<T> &k = table_of<T>(kernels());
    by_blocks(pool, size, [&](size_t first, size_t last) {
        alignas(LINE) T room[UPDATE_BLOCK];
        for (size_t block = first; block < last; ++block) {
            size_t from = block * UPDATE_BLOCK, n = std::min(UPDATE_BLOCK, size - from);
            T *g = a.gradient.get() + from;
            k.prepare(g, sum_parts(space, count, from, from + n, room), g, n, {(T)a.clip_value, 1, 0});
            a.squares[block] = k.squares(g, n);
        }
    });
    double sum = 0;
    for (size_t block = 0; block * UPDATE_BLOCK < size; ++block) sum += a.squares[block];
    double norm = std::sqrt(sum);
    return norm > a.clip_norm ? a.clip_norm / norm : 1;
}

// |w|^2, each part times its factor of decay, block by block in a fixed order.
template <class T> double decaying_squares(Pool &pool, Around<T> &a, const T *w, size_t size) {
    const Table<T> &k = table_of<T>(kernels());
    by_blocks(pool, size, [&](size_t first, size_t last) {
        for (size_t block = first; block < last; ++block) {
            size_t from = block * UPDATE_BLOCK, to = std::min(from + UPDATE_BLOCK, size);
            a.squares[block] = 0;
            for (const PartOf<T> &part : a.parts) {
                size_t start = std::max(from, part.start), stop = std::min(to, part.stop);
                if (start < stop && part.decay) a.squares[block] += part.decay * k.squares(w + start, stop - start);
            }
        }
    });
    double sum = 0;
    for (size_t block = 0; block * UPDATE_BLOCK < size; ++block) sum += a.squares[block];
    return sum;
}

// The scalars of the next step for each part, which is counted.
template <class T> void next_parts(Rule<T> &rule, Around<T> &a) {
    double rate = *rule.rates;
    next_scalars(rule);
    for (PartOf<T> &part : a.parts) {
        part.scalars = scalars_of(rule, rate * part.rate);
        part.keep = (T)(1 - rate * part.rate * (*a.decays * part.decay));
    }
    ++a.decays;
}

// What one step does around the rule.
template <class T> struct AroundStep {
    T factor, share;  // of the gradient, and of the newest parameters in the mean
};

// Counts the step, and takes the norm of the gradient where that is bounded.
template <class T>
AroundStep<T> begin_around(Workspace<T> &space, Pool &pool, Rule<T> &rule, Around<T> &a, size_t size, size_t count) {
    if (a.penalties) *a.penalties++ = decaying_squares(pool, a, rule.w, size);
    next_parts(rule, a);
    T factor = a.bounds_norm() ? (T)bounded(space, pool, a, size, count) : 1;
    return {factor, (T)*a.shares++};
}

// One step of `rule` on the entries [from, to), whose gradient is g, with what stands around it.
template <class T>
void step_around(const Rule<T> &rule, const Around<T> &a, AroundStep<T> now, const T *g, size_t from, size_t to) {
    const Table<T> &k = table_of<T>(kernels());
    alignas(LINE) T changed[UPDATE_BLOCK];
    for (const PartOf<T> &part : a.parts) {
        size_t last = std::min(to, part.stop);
        for (size_t start = std::max(from, part.start); start < last; start += UPDATE_BLOCK) {
            size_t n = std::min(UPDATE_BLOCK, last - start);
            T *w = rule.w + start;
            k.prepare(changed, g + (start - from), w, n, {(T)a.clip_value, now.factor, (T)(a.l2 * part.decay)});
            if (part.keep != 1) layers_of<T>(kernels()).shrink(w, part.keep, n);
            step_on(rule, part.scalars, start, changed, n);
        }
    }
    if (now.share != 0) k.average(a.average + from, rule.w + from, now.share, to - from);
}
