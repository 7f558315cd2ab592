// The kernels of heads and losses, compiled once for each instruction set like kernels.cpp and under its rules.
// The formulas, and what is done at their edges, are those of engine/heads.py and engine/losses.py.
#include "losses_kernels.h"

#include <math.h>
#include <string.h>

namespace {

#include "elementary.h"

template <class T> inline T size_of(T x) { return x < 0 ? -x : x; }

// -- heads -------------------------------------------------------------------------------------------------------

template <class T> void identity(T *P, T *, const T *S, const Shape<T> &s) { memcpy(P, S, s.K * s.n * sizeof(T)); }

template <class T> void identity_back(T *D, T *, const T *, const T *Q, const Shape<T> &s) {
    memcpy(D, Q, s.K * s.n * sizeof(T));
}

// P <- S - max S; the score of class K of the modified softmax is 0
template <class T> void shift(T *__restrict P, T *__restrict m, const T *__restrict S, const Shape<T> &s) {
    bool modified = s.K > s.k;
    for (size_t i = 0; i < s.n; ++i) m[i] = modified ? (T)0 : S[i];
    for (size_t c = 0; c < s.k; ++c)
        for (size_t i = 0; i < s.n; ++i) m[i] = at_least(m[i], S[c * s.n + i]);
    for (size_t c = 0; c < s.k; ++c)
        for (size_t i = 0; i < s.n; ++i) P[c * s.n + i] = S[c * s.n + i] - m[i];
    if (modified)
        for (size_t i = 0; i < s.n; ++i) P[s.k * s.n + i] = 0 - m[i];
}

// m (n) <- sums of P (K, n) over the classes
template <class T> void class_sums(T *__restrict m, const T *__restrict P, size_t K, size_t n) {
    for (size_t i = 0; i < n; ++i) m[i] = P[i];
    for (size_t c = 1; c < K; ++c)
        for (size_t i = 0; i < n; ++i) m[i] += P[c * n + i];
}

// P <- exp(P) / sum exp(P), the sums left in m
template <class T> void normalise(T *__restrict P, T *__restrict m, const Shape<T> &s) {
    for (size_t i = 0; i < s.K * s.n; ++i) P[i] = exp_(P[i]);
    class_sums(m, P, s.K, s.n);
    for (size_t c = 0; c < s.K; ++c)
        for (size_t i = 0; i < s.n; ++i) P[c * s.n + i] /= m[i];
}

template <class T> void softmax(T *P, T *m, const T *S, const Shape<T> &s) {
    shift(P, m, S, s);
    normalise(P, m, s);
}

// D = g * (q - <g, q>), without the last entry for the modified softmax
template <class T>
void softmax_back(T *__restrict D, T *__restrict m, const T *__restrict P, const T *__restrict Q, const Shape<T> &s) {
    for (size_t i = 0; i < s.n; ++i) m[i] = 0;
    for (size_t c = 0; c < s.K; ++c)
        for (size_t i = 0; i < s.n; ++i) m[i] += P[c * s.n + i] * Q[c * s.n + i];
    for (size_t c = 0; c < s.k; ++c)
        for (size_t i = 0; i < s.n; ++i) D[c * s.n + i] = (Q[c * s.n + i] - m[i]) * P[c * s.n + i];
}

template <class T> void sigmoid(T *__restrict P, T *, const T *__restrict S, const Shape<T> &s) {
    for (size_t i = 0; i < s.K * s.n; ++i) P[i] = sigmoid_(S[i]);
}

template <class T>
void sigmoid_back(T *__restrict D, T *, const T *__restrict P, const T *__restrict Q, const Shape<T> &s) {
    for (size_t i = 0; i < s.K * s.n; ++i) D[i] = (1 - P[i]) * P[i] * Q[i];
}

template <class T> void exponential(T *__restrict P, T *, const T *__restrict S, const Shape<T> &s) {
    for (size_t i = 0; i < s.K * s.n; ++i) P[i] = exp_(S[i]);
}

template <class T>
void exponential_back(T *__restrict D, T *, const T *__restrict P, const T *__restrict Q, const Shape<T> &s) {
    for (size_t i = 0; i < s.K * s.n; ++i) D[i] = P[i] * Q[i];
}

// -- the cross-entropies of classes --------------------------------------------------------------------------------

// g_y - 1 is formed as minus the sum of the others: exact to the last bits also where g_y is nearly 1
template <class T> void from_index(T *P, double *losses, T *m, const int64_t *y, const Shape<T> &s) {
    for (size_t i = 0; i < s.n; ++i) losses[i] = -(double)P[(size_t)y[i] * s.n + i];
    normalise(P, m, s);
    for (size_t i = 0; i < s.n; ++i) m[i] = log_(m[i]);
    for (size_t i = 0; i < s.n; ++i) losses[i] += (double)m[i];
    for (size_t i = 0; i < s.n; ++i) P[(size_t)y[i] * s.n + i] = 0;
    class_sums(m, P, s.K, s.n);
    for (size_t i = 0; i < s.n; ++i) P[(size_t)y[i] * s.n + i] = -m[i];
}

// The entries of a row need not have the sum 1.
template <class T>
void from_rows(T *__restrict P, double *__restrict losses, T *__restrict m, const T *__restrict Y, const Shape<T> &s) {
    for (size_t i = 0; i < s.n; ++i) losses[i] = 0;
    for (size_t c = 0; c < s.K; ++c)
        for (size_t i = 0; i < s.n; ++i) losses[i] -= (double)(Y[c * s.n + i] * P[c * s.n + i]);
    normalise(P, m, s);
    for (size_t i = 0; i < s.n; ++i) m[i] = log_(m[i]);
    for (size_t c = 0; c < s.K; ++c)
        for (size_t i = 0; i < s.n; ++i) losses[i] += (double)(Y[c * s.n + i] * m[i]);
    class_sums(m, Y, s.K, s.n);
    for (size_t c = 0; c < s.K; ++c)
        for (size_t i = 0; i < s.n; ++i) P[c * s.n + i] = P[c * s.n + i] * m[i] - Y[c * s.n + i];
}

template <class T>
void crossentropy_of_scores(T *Q, double *losses, T *m, const T *S, const Targets<T> &y, const Shape<T> &s) {
    shift(Q, m, S, s);
    if (y.index) from_index(Q, losses, m, y.index, s);
    else from_rows(Q, losses, m, y.rows, s);
}

template <class T>
void crossentropy(T *__restrict Q, double *__restrict losses, T *, const T *__restrict P, const Targets<T> &y,
                  const Shape<T> &s) {
    for (size_t i = 0; i < s.n; ++i) losses[i] = 0;
    if (y.index) {
        memset(Q, 0, s.K * s.n * sizeof(T));
        for (size_t i = 0; i < s.n; ++i) {
            size_t at = (size_t)y.index[i] * s.n + i;
            losses[i] -= (double)log_(P[at]);
            Q[at] = -1 / P[at];
        }
        return;
    }
    for (size_t c = 0; c < s.K; ++c)
        for (size_t i = 0; i < s.n; ++i) {
            T target = y.rows[c * s.n + i], p = P[c * s.n + i];
            losses[i] -= (double)(target == 0 ? 0 : target * log_(p));  // 0 log 0 = 0
            Q[c * s.n + i] = target == 0 ? 0 : -target / p;
        }
}

// -- losses that are a mean over the entries: loss and slope of one, with the number of its column -------------------

struct Mse {
    template <class T> static T of(T p, T y, T, T &slope) {
        slope = 2 * (p - y);
        return (p - y) * (p - y);
    }
};
struct Mae {
    template <class T> static T of(T p, T y, T, T &slope) {
        T d = p - y;
        slope = d > 0 ? (T)1 : d < 0 ? (T)-1 : d;  // 0 at the kink, and NaN stays
        return size_of(d);
    }
};
struct Huber {
    template <class T> static T of(T p, T y, T delta, T &slope) {
        T d = p - y;
        slope = at_most(at_least(d, -delta), delta);
        return slope * (d - slope * (T)0.5);
    }
};
struct Quantile {
    template <class T> static T of(T p, T y, T level, T &slope) {
        T d = p - y;
        slope = d < 0 ? -level : d > 0 ? 1 - level : d;
        return d < 0 ? d * -level : d * (1 - level);
    }
};

// -y log p with 0 log 0 = 0, and the slope -y / p
template <class T> inline T log_term(T p, T y, T &slope) {
    bool there = y != 0 || p != p;
    slope = there ? -(y / p) : (T)0;
    return there ? -(y * log_(p)) : (T)0;
}

struct Poisson {
    template <class T> static T of(T p, T y, T, T &slope) {
        T term = log_term(p, y, slope);
        slope += 1;
        return p + term;
    }
};
struct BinaryCrossentropy {
    template <class T> static T of(T p, T y, T, T &slope) {
        T other, no = log_term(1 - p, 1 - y, other), yes = log_term(p, y, slope);
        slope -= other;
        return no + yes;
    }
};
// log(1 + e^-|s|) + y max(-s, 0) + (1 - y) max(s, 0); slope (1 - y) sigma(s) - y sigma(-s)
struct BinaryCrossentropyOfScores {
    template <class T> static T of(T s, T y, T, T &slope) {
        T e = exp_(-size_of(s)), near = 1 / (1 + e), far = e / (1 + e);  // sigma(|s|) and sigma(-|s|)
        slope = s < 0 ? (1 - y) * far - y * near : (1 - y) * near - y * far;
        T wrong = s < 0 ? y : 1 - y;
        return log1p_(e) + (wrong == 0 ? 0 : wrong * size_of(s));
    }
};
struct PoissonOfScores {
    template <class T> static T of(T s, T y, T, T &slope) {
        T rate = exp_(s);
        slope = rate - y;
        return rate - (y == 0 && s == s ? 0 : y * s);
    }
};

template <class E, class T>
void by_entry(T *__restrict Q, double *__restrict losses, T *, const T *__restrict P, const Targets<T> &y,
              const Shape<T> &s) {
    for (size_t i = 0; i < s.n; ++i) losses[i] = 0;
    for (size_t c = 0; c < s.K; ++c) {
        const T *__restrict target = y.rows + c * s.n;
        T column = y.columns[c];
        for (size_t i = 0; i < s.n; ++i) {
            T slope, loss = E::of(P[c * s.n + i], target[i], column, slope);
            Q[c * s.n + i] = slope;
            losses[i] += (double)loss;
        }
    }
}

// -- the mean ------------------------------------------------------------------------------------------------------

template <class T>
double weighted(T *D, const T *Q, const double *losses, const T *weights, size_t width, const Shape<T> &s) {
    double sum = 0;
    for (size_t i = 0; i < s.n; ++i) sum += weights ? losses[i] * (double)weights[i] : losses[i];
    if (!weights)
        for (size_t i = 0; i < width * s.n; ++i) D[i] = Q[i] * s.share;
    else
        for (size_t c = 0; c < width; ++c)
            for (size_t i = 0; i < s.n; ++i) D[c * s.n + i] = Q[c * s.n + i] * (weights[i] * s.share);
    return sum;
}

// In the order of Head and of Loss.
template <class T> constexpr LossTable<T> table() {
    return {
        {&identity<T>, &softmax<T>, &softmax<T>, &sigmoid<T>, &exponential<T>},
        {&identity_back<T>, &softmax_back<T>, &softmax_back<T>, &sigmoid_back<T>, &exponential_back<T>},
        {&crossentropy_of_scores<T>, &by_entry<BinaryCrossentropyOfScores, T>, &by_entry<PoissonOfScores, T>,
         &crossentropy<T>, &by_entry<BinaryCrossentropy, T>, &by_entry<Mse, T>, &by_entry<Mae, T>, &by_entry<Huber, T>,
         &by_entry<Quantile, T>, &by_entry<Poisson, T>},
        &weighted<T>,
    };
}

}  // namespace

#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
extern "C" const LossTables JOINED(layerloop_losses_, LAYERLOOP_ISA);
extern "C" const LossTables JOINED(layerloop_losses_, LAYERLOOP_ISA) = {table<float>(), table<double>()};
