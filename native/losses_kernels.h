// The kernels of heads and losses; layout as in kernels.h: feature-major, (width, rows).
//
// Letters: S scores (k, n), P outputs (K, n), D and Q the gradients in them; K = k + 1 for the modified softmax and
// K = k otherwise; m (n) is working memory.
#pragma once
#include <stddef.h>
#include <stdint.h>

// In the order of plan.HEADS.
enum class Head { identity, softmax, modified_softmax, sigmoid, exp };
constexpr int HEAD_COUNT = 5;

// In the order of engine/native.py. The first three are head and loss in one and take scores, the others outputs; those
// from `binarycrossentropy_of_scores` on are a mean over the entries of a row.
enum class Loss {
    crossentropy_of_scores, binarycrossentropy_of_scores, poisson_of_scores, crossentropy, binarycrossentropy, mse, mae,
    huber, quantile, poisson
};
constexpr int LOSS_COUNT = 10;
inline bool takes_scores(Loss loss) { return loss <= Loss::poisson_of_scores; }
inline bool is_by_entry(Loss loss) { return loss != Loss::crossentropy_of_scores && loss != Loss::crossentropy; }

// Targets of n rows: class indices (n), or rows kept as (K, n); the other pointer is null. `columns` (K) is the number
// that a loss has for each output: the level of a quantile, Huber's delta.
template <class T> struct Targets {
    const int64_t *index;
    const T *rows, *columns;
};

// Shape of scores and outputs, and the weight of one entry in the mean: 1 / n or 1 / (n K), n of the whole batch.
template <class T> struct Shape {
    size_t n, k, K;
    T share;
};

template <class T> struct LossTable {
    // P <- the outputs; for a softmax m is left as the sums of exponentials
    void (*head[HEAD_COUNT])(T *P, T *m, const T *S, const Shape<T> &shape);
    // D <- J^T Q
    void (*head_back[HEAD_COUNT])(T *D, T *m, const T *P, const T *Q, const Shape<T> &shape);
    // losses (n) <- of each row, summed over its entries; Q (K, n) <- their slopes in what is given, scores or outputs
    void (*loss[LOSS_COUNT])(T *Q, double *losses, T *m, const T *given, const Targets<T> &y, const Shape<T> &shape);
    // D (width, n) <- Q share, each row times its weight where there are weights (n); returns the weighted sum of losses
    double (*weighted)(T *D, const T *Q, const double *losses, const T *weights, size_t width, const Shape<T> &shape);
};

struct LossTables {
    LossTable<float> f32;
    LossTable<double> f64;
};
