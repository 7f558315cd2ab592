// A stretch of training steps in one call.
#pragma once
#include "network.h"

#include <cmath>

// A rule with its settings as optim/rules.py names them, and its state. `rates` are those of the steps to come.
template <class T> struct Rule {
    int kind;
    double first, second, epsilon, decay, momentum_decay;  // first: rho or beta1; second: beta2
    double product;                                        // NAdam's product of momenta
    const double *rates;
    T *w, *u, *v;
    int64_t t;
};

// NAdam's mu_t
template <class T> double momentum_at(const Rule<T> &r, double t) {
    return r.first * (1 - 0.5 * std::pow(0.96, t * r.momentum_decay));
}

template <class T> Scalars<T> scalars_of_nadam(const Rule<T> &r, double rate, double c) {
    double mu = momentum_at(r, (double)r.t), ahead = momentum_at(r, (double)(r.t + 1));
    return {(T)(rate * c * (1 - mu) / (1 - r.product)), (T)r.first, (T)(1 - r.first), (T)r.second, (T)(1 - r.second),
            (T)(c * r.epsilon), (T)(rate * c * ahead / (1 - r.product * ahead))};
}

template <class T> Scalars<T> scalars_of_radam(const Rule<T> &r, double rate) {
    double power = std::pow(r.second, (double)r.t), left = 1 - power;
    double most = 2 / (1 - r.second) - 1, rho = most - 2 * (double)r.t * power / left;
    bool plain = rho <= 5;
    double q = plain ? 1 : (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho);
    rate /= 1 - std::pow(r.first, (double)r.t);
    return {(T)(plain ? rate : rate * std::sqrt(q * left)), (T)r.first, (T)(1 - r.first), (T)r.second,
            (T)(1 - r.second), (T)r.epsilon, (T)plain};
}

// The scalars of step t, in double and in the order of optim/rules.py, then in the type of w.
template <class T> Scalars<T> scalars_of(const Rule<T> &r, double rate) {
    if (r.kind < lion_rule) return {(T)rate, (T)r.first, (T)(1 - r.first), (T)r.epsilon, 0, 0, 0};
    if (r.kind == lion_rule) return {(T)rate, (T)(r.first / (1 - r.first)), 0, (T)r.second, (T)(1 - r.second), 0, 0};
    if (r.kind == radam_rule) return scalars_of_radam(r, rate);
    double c = std::sqrt(1 - std::pow(r.second, (double)r.t));
    if (r.kind == nadam_rule) return scalars_of_nadam(r, rate, c);
    return {(T)(rate * c / (1 - std::pow(r.first, (double)r.t))), (T)r.first, (T)(1 - r.first), (T)r.second,
            (T)(1 - r.second), (T)(c * r.epsilon), (T)(1 - rate * r.decay)};
}

// The scalars of the next step, which is counted.
template <class T> Scalars<T> next_scalars(Rule<T> &r) {
    r.t += 1;
    if (r.kind == nadam_rule) r.product *= momentum_at(r, (double)r.t);
    return scalars_of(r, *r.rates++);
}

// One update of w from the pieces' gradients: summed and used block by block, while the block is in the cache.
template <class T>
void update(Workspace<T> &space, Pool &pool, const Rule<T> &rule, const Scalars<T> &s, size_t size, size_t count) {
    constexpr size_t BLOCK = 2048, WORTH = 4096;  // entries
    size_t blocks = (size + BLOCK - 1) / BLOCK;
    size_t tasks = size < WORTH ? 1 : std::min((size_t)pool.threads(), blocks);
    pool.run((uint32_t)tasks, [&](uint32_t i) {
        alignas(LINE) T room[BLOCK];
        for (size_t block = begin_of(i, blocks, tasks); block < begin_of(i + 1, blocks, tasks); ++block) {
            size_t from = block * BLOCK, to = std::min(from + BLOCK, size);
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

// One step for each `batch` entries of order (rows); losses before each update go into `losses`. Returns the steps
// taken: a loss that is not finite ends the stretch without its update. `table` are the first layer's weights where the
// rows are sparse.
template <class T>
size_t train(Workspace<T> &space, Pool &pool, Batch<T> b, Rule<T> &rule, size_t rows, size_t batch, double *losses,
             const Weights<T> &table) {
    size_t step = 0;
    space.reserve(b.net, std::min(batch, rows));
    space.reserve(b.net, rows % batch ? rows % batch : 1);
    for (size_t start = 0; start < rows; start += batch, ++step) {
        b.n = std::min(batch, rows - start);
        b.next = start + 2 * batch <= rows ? b.order + batch : nullptr;
        size_t count = piece_count(b.n, b.net);
        b.step = (uint64_t)rule.t;
        losses[step] = (double)(T)loss_and_parts(space, pool, b, count);
        if (!std::isfinite(losses[step])) return step;
        hold(b.net, rule.w, space.kept.get(), false);
        const Scalars<T> scalars = next_scalars(rule);
        update(space, pool, rule, scalars, b.net.size, count);
        if (b.sparse)
            update_table(space.columns, pool, *b.sparse, table, table_of<T>(kernels()).step[rule.kind], scalars);
        hold(b.net, rule.w, space.kept.get(), true);
        b.order += batch;
    }
    return step;
}
