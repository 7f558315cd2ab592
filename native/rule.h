// The rules of optim/descent.py and optim/adaptive.py: their settings, their state, and the scalars of each step.
#pragma once
#include "network.h"

#include <cmath>

// A rule with its settings as they are named there, and its state. `rates` are those of the steps to come.
template <class T> struct Rule {
    int kind;
    double first, second, epsilon, decay, momentum_decay;  // first: rho or beta1; second: beta2
    double product;                                        // NAdam's product of momenta
    const double *rates;
    T *w, *u, *v;
    int64_t t;
};

// The rule's step on n entries from entry `from` on.
template <class T> void step_on(const Rule<T> &r, const Scalars<T> &s, size_t from, const T *g, size_t n) {
    T *u = r.u ? r.u + from : nullptr, *v = r.v ? r.v + from : nullptr;
    table_of<T>(kernels()).step[r.kind](r.w + from, u, v, g, n, s);
}

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

// The scalars of step t, in double and in the order of those files, then in the type of w.
template <class T> Scalars<T> scalars_of(const Rule<T> &r, double rate) {
    if (r.kind < lion_rule) return {(T)rate, (T)r.first, (T)(1 - r.first), (T)r.epsilon, 0, 0, 0};
    if (r.kind == lion_rule) return {(T)rate, (T)(r.first / (1 - r.first)), 0, (T)r.second, (T)(1 - r.second), 0, 0};
    if (r.kind == radam_rule) return scalars_of_radam(r, rate);
    double c = std::sqrt(1 - std::pow(r.second, (double)r.t));
    if (r.kind == nadam_rule) return scalars_of_nadam(r, rate, c);
    return {(T)(rate * c / (1 - std::pow(r.first, (double)r.t))), (T)r.first, (T)(1 - r.first), (T)r.second,
            (T)(1 - r.second), (T)(r.kind == adam_hat_rule ? r.epsilon : c * r.epsilon), (T)(1 - rate * r.decay)};
}

// The scalars of the next step, which is counted.
template <class T> Scalars<T> next_scalars(Rule<T> &r) {
    r.t += 1;
    if (r.kind == nadam_rule) r.product *= momentum_at(r, (double)r.t);
    return scalars_of(r, *r.rates++);
}
