// What a piece of a batch begins with: its rows, targets and weights.
#pragma once
#include "zeros.h"

// The rows of a piece, turned to features where the first layer wants them so.
template <class T> void load_rows(Piece<T> &p, const Batch<T> &b) {
    p.node[0] = p.input;
    if (b.sparse) return;
    p.packed = !hands_over(b, 0) && pack_rows(p, b) && first_is_finite(b);
    if (p.packed) return;
    gather_rows(p, b);
    if (!b.net.takes_rows()) table_of<T>(kernels()).transpose(p.input, p.x, p.n, b.net.n_in);
}

// Targets and weights of a piece, once for each member; spread ones as engine/losses.py does it.
template <class T> void load_wanted(Piece<T> &p, const Batch<T> &b) {
    const Wanted<T> &wanted = b.wanted;
    size_t rows = p.n * b.net.members, K = b.net.K;
    T keep = 1 - wanted.smoothing, spread = wanted.smoothing / (T)K;
    for (size_t i = 0; i < rows; ++i) {
        size_t sample = p.from + i % p.n, row = b.order ? (size_t)b.order[sample] : sample;
        if (wanted.weights) p.weights[i] = wanted.weights[row];
        if (wanted.by_index()) {
            p.index[i] = wanted.index[row];
            continue;
        }
        for (size_t c = 0; c < K; ++c)
            p.Y[c * rows + i] = wanted.index ? spread : wanted.rows[row * K + c] * keep + spread;
        if (wanted.index) p.Y[(size_t)wanted.index[row] * rows + i] += keep;
    }
}
