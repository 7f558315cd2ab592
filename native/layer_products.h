// The products of one dense layer with a piece's rows.
#pragma once
#include "blas.h"
#include "loading.h"

template <class T> void multiply_by_tiles(T *c, const T *a, const T *b, const Tiles &s) {
    tiles_of<T>(kernels()).multiply(c, a, b, s, room_of_thread<T>(tile_room(s.rows, s.width, s.k)));
}

// The rows that go into a layer whose weights' gradient is taken for the whole batch: x, or the node before it turned.
template <class T> const T *rows_into(const Piece<T> &p, const Batch<T> &b, size_t i, const T *x) {
    if (x) return x;
    size_t in = b.net.layers[i].n_in;
    T *rows = b.sides[i].z + p.from * in;
    table_of<T>(kernels()).transpose(rows, p.node[i], in, p.n);
    return rows;
}

// The same as affine by tiles along the outputs, which `side` holds as rows; of W in panels where there is such a copy.
template <class T> void affine_rows(Piece<T> &p, const Batch<T> &b, size_t i, const T *x) {
    const Layer &layer = b.net.layers[i];
    size_t n = p.n * layer.times, in = layer.n_in, out = layer.n_out, columns = panel_columns<T>();
    bool copied = hands_over(b, i);
    if (copied) x = rows_into(p, b, i, x);
    Tiles shape{n, out, in, x ? in : 1, x ? 1 : n, copied ? columns : out, out};
    if (copied) shape.b_panel = columns * in;
    else shape.b_ends = out % ROOM;  // the last row of W has no room behind it
    multiply_by_tiles(p.side, x ? x : p.node[i], copied ? b.sides[i].W : b.w + layer.at, shape);
    table_of<T>(kernels()).transpose(p.t[i], p.side, n, out);
}

// T (n_out, n) <- W^T Z of layer i, from the rows x (n, n_in) in the first
template <class T> void affine(Piece<T> &p, const Batch<T> &b, size_t i, const T *x) {
    const Layer &layer = b.net.layers[i];
    const T *W = b.w + layer.at, *z = p.node[i];
    T *t = p.t[i];
    size_t n = p.n * layer.times;
    auto rows = (int64_t)n, in = (int64_t)layer.n_in, out = (int64_t)layer.n_out;
    if (hands_over(b, i) || tiled(layer, n)) {
        if (x || hands_over(b, i) || is_few(n)) return affine_rows(p, b, i, x);
        return multiply_by_tiles(t, W, z, {layer.n_out, n, layer.n_in, 1, layer.n_out, n, n});
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
        return multiply_by_tiles(dW, x ? x : z, p.side, shape);
    }
    if (x) multiply(dW, d, x, {true, true, out, in, rows, rows, in, out}, *b.watch);
    else multiply(dW, d, z, {true, false, out, in, rows, rows, rows, out}, *b.watch);
}

// Q (n_in, n) <- W D of layer i
template <class T> void input_gradient(const Batch<T> &b, size_t i, T *q, const T *d, size_t n) {
    const Layer &layer = b.net.layers[i];
    const T *W = b.w + layer.at;
    auto rows = (int64_t)n, in = (int64_t)layer.n_in, out = (int64_t)layer.n_out;
    if (hands_over(b, i) || (tiled(layer, n) && !is_few(n)))
        return multiply_by_tiles(q, W, d, {layer.n_in, n, layer.n_out, layer.n_out, 1, n, n});
    multiply(q, d, W, {false, false, rows, in, out, rows, out, rows}, *b.watch);
}

// T (n_out, n) <- W^T X^T
template <class T> void affine_sparse(Piece<T> &p, T *t, const Batch<T> &b) {
    sparse_rows(p.side, *b.sparse, b.order, p.from, p.n);
    table_of<T>(kernels()).transpose(t, p.side, p.n, b.sparse->n_out);
}
