// The products of one dense layer with a piece's rows; to be included by network.h.
#pragma once

// T (n_out, n) <- W^T x^T from rows x (n, n_in), by tiles along the outputs, which `side` holds as rows
template <class T> void affine_rows(Piece<T> &p, T *t, const T *x, const T *W, const Layer &layer) {
    size_t in = layer.n_in, out = layer.n_out, ldb = out;
    if (out % ROOM) {  // the last row of W has no room behind it
        ldb = padded(out);
        for (size_t i = 0; i < in; ++i) std::memcpy(p.wide + i * ldb, W + i * out, out * sizeof(T));
        W = p.wide;
    }
    tiles_of<T>(kernels())(p.side, x, W, {p.n, out, in, in, 1, ldb, out});
    table_of<T>(kernels()).transpose(t, p.side, p.n, out);
}

// T (n_out, n) <- W^T Z, from the rows x (n, n_in) in the first layer
template <class T>
void affine(Piece<T> &p, const Batch<T> &b, T *t, const T *z, const T *x, const Layer &layer) {
    const T *W = b.w + layer.at;
    size_t n = p.n * layer.times;
    auto rows = (int64_t)n, in = (int64_t)layer.n_in, out = (int64_t)layer.n_out;
    if (tiled(layer, n)) {
        if (x) return affine_rows(p, t, x, W, layer);
        return tiles_of<T>(kernels())(t, W, z, {layer.n_out, n, layer.n_in, 1, layer.n_out, n, n});
    }
    if (x) multiply(t, x, W, {true, true, rows, out, in, in, out, rows}, *b.watch);
    else multiply(t, z, W, {false, true, rows, out, in, rows, out, rows}, *b.watch);
}

// dW (n_in, n_out) <- Z D^T, from the rows x (n, n_in) in the first layer; by tiles along the outputs, D turned to rows
template <class T>
void weight_gradient(Piece<T> &p, const Batch<T> &b, T *dW, const T *d, const T *z, const T *x, const Layer &layer) {
    size_t n = p.n * layer.times;
    auto rows = (int64_t)n, in = (int64_t)layer.n_in, out = (int64_t)layer.n_out;
    if (tiled(layer, n)) {
        table_of<T>(kernels()).transpose(p.side, d, layer.n_out, n);
        size_t a_row = x ? 1 : n, a_k = x ? layer.n_in : 1;
        Tiles shape{layer.n_in, layer.n_out, n, a_row, a_k, layer.n_out, layer.n_out};
        return tiles_of<T>(kernels())(dW, x ? x : z, p.side, shape);
    }
    if (x) multiply(dW, d, x, {true, true, out, in, rows, rows, in, out}, *b.watch);
    else multiply(dW, d, z, {true, false, out, in, rows, rows, rows, out}, *b.watch);
}

// Q (n_in, n) <- W D
template <class T> void input_gradient(const Batch<T> &b, T *q, const T *d, const Layer &layer, size_t n) {
    const T *W = b.w + layer.at;
    auto rows = (int64_t)n, in = (int64_t)layer.n_in, out = (int64_t)layer.n_out;
    if (tiled(layer, n))
        return tiles_of<T>(kernels())(q, W, d, {layer.n_in, n, layer.n_out, layer.n_out, 1, n, n});
    multiply(q, d, W, {false, false, rows, in, out, rows, out, rows}, *b.watch);
}

// T (n_out, n) <- W^T X^T
template <class T> void affine_sparse(Piece<T> &p, T *t, const Batch<T> &b) {
    sparse_rows(p.side, *b.sparse, b.order, p.from, p.n);
    table_of<T>(kernels()).transpose(t, p.side, p.n, b.sparse->n_out);
}
