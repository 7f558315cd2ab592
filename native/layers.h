// One layer of the two loops, forward and backward, for each kind.
//
// The node behind a layer is its z, but for a dropout in prediction, which hands on what it is given. A layer's own
// gradient goes into its stretch of the piece's, the gradient in its input into the d of the layer before it.
#pragma once
#include "layer_products.h"

constexpr uint64_t GOLDEN = 0x9e3779b97f4a7c15;

inline uint64_t mixed64(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

// What names the mask of layer i in this step; key_of in engine/masks.py is the same.
template <class T> Drops drops_of(const Piece<T> &p, const Batch<T> &b, size_t i) {
    uint64_t key = mixed64(mixed64(b.seed + GOLDEN * (b.step + 1)) ^ mixed64(i + 1));
    return {(uint32_t)key, (uint32_t)(key >> 32), (uint32_t)b.net.layers[i].counts[0], b.n, p.from};
}

// Shape of what a layer gives, rows of a feature in as many groups as it has parameters for.
template <class T> Rows2 rows_of(const Piece<T> &p, const Layer &layer) {
    return {layer.n_out, p.n * layer.times, layer.own};
}

// -- dense -------------------------------------------------------------------------------------------------------

template <class T> void forward_members(Piece<T> &p, const Batch<T> &b, const Layer &layer, T *t, const T *z) {
    const T *W = b.w + layer.at;
    size_t block = (layer.n_in + 1) * layer.n_out;
    auto n = (int64_t)p.n, all = (int64_t)(p.n * layer.own), in = (int64_t)layer.n_in, out = (int64_t)layer.n_out;
    for (size_t j = 0; j < layer.own; ++j)
        multiply(t + j * p.n, z + j * p.n, W + j * block, {false, true, n, out, in, all, out, all}, *b.watch);
}

template <class T> const T *given_rows(const Piece<T> &p, const Batch<T> &b, size_t i) {
    return !i && b.net.takes_rows() ? p.x : nullptr;
}

template <class T> void forward_dense(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    const Table<T> &k = table_of<T>(kernels());
    const T *bias = b.w + layer.at + layer.n_in * layer.n_out;
    T factor = numbers_of<T>(layer)[0], *t = p.t[i];
    Rows2 r = rows_of(p, layer);
    if (layer.own > 1) forward_members(p, b, layer, t, p.node[i]);
    else if (b.sparse && !i) affine_sparse(p, t, b);
    else if (p.packed && !i) affine_packed(p, b, t, layer);
    else affine(p, b, i, given_rows(p, b, i));
    if (factor != 1) layers_of<T>(kernels()).shrink(t, factor, r.width * r.rows);
    if (layer.own > 1) layers_of<T>(kernels()).shift(t, bias, layer.size / layer.own, r);
    k.forward[layer.activation](p.z[i], t, layer.own > 1 ? p.zeros : bias, r.width, r.rows);
}

template <class T> void backward_members(Piece<T> &p, const Batch<T> &b, size_t i, T *dW, T *q) {
    const Layer &layer = b.net.layers[i];
    const T *W = b.w + layer.at, *d = p.d[i], *z = p.node[i];
    size_t block = (layer.n_in + 1) * layer.n_out;
    auto n = (int64_t)p.n, all = (int64_t)(p.n * layer.own), in = (int64_t)layer.n_in, out = (int64_t)layer.n_out;
    for (size_t j = 0; j < layer.own; ++j) {
        multiply(dW + j * block, d + j * p.n, z + j * p.n, {true, false, out, in, n, all, all, out}, *b.watch);
        if (q) multiply(q + j * p.n, d + j * p.n, W + j * block, {false, false, n, in, out, all, out, all}, *b.watch);
    }
}

// The piece's slopes in a layer by rows, into those of the whole batch.
template <class T> void slopes_by_rows(T *slopes, const Piece<T> &p, const Batch<T> &b, size_t i, T factor) {
    size_t out = b.net.layers[i].n_out;
    slopes += p.from * out;
    table_of<T>(kernels()).transpose(slopes, p.d[i], out, p.n);
    if (factor != 1) layers_of<T>(kernels()).shrink(slopes, factor, p.n * out);
}

// The same in panels, the last of which need not be full.
template <class T> void slopes_by_panels(T *slopes, const Piece<T> &p, const Batch<T> &b, size_t i, T factor) {
    size_t out = b.net.layers[i].n_out, columns = panel_columns<T>();
    for (size_t j = 0; j < out; j += columns) {
        size_t width = std::min(columns, out - j);
        T *panel = slopes + j * b.n + p.from * columns, *rows = width == columns ? panel : p.side;
        table_of<T>(kernels()).transpose(rows, p.d[i] + j * p.n, width, p.n);
        if (factor != 1) layers_of<T>(kernels()).shrink(rows, factor, p.n * width);
        if (rows == panel) continue;
        for (size_t k = 0; k < p.n; ++k) std::memcpy(panel + k * columns, rows + k * width, width * sizeof(T));
    }
}

template <class T> void backward_dense(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    const LayerTable<T> &k = layers_of<T>(kernels());
    Rows2 r = rows_of(p, layer);
    T factor = numbers_of<T>(layer)[0], *dW = p.gradient + layer.at, *db = dW + layer.n_in * layer.n_out;
    T *q = i ? p.d[i - 1] : nullptr;
    table_of<T>(kernels()).backward[layer.activation](p.d[i], p.t[i], p.z[i], r.width * r.rows);
    if (layer.own > 1) {
        k.group_sums(db, p.d[i], layer.size / layer.own, r);
        if (factor != 1) k.shrink(p.d[i], factor, r.width * r.rows);
        return backward_members(p, b, i, dW, q);
    }
    bool here = !hands_over(b, i);
    if (!here) slopes_by_panels(b.sides[i].d, p, b, i, factor);
    else if (b.sparse && !i) slopes_by_rows(b.sparse->D, p, b, i, factor);
    else if (i || !gradient_of_packed(p, b, dW))
        weight_gradient(p, b, dW, p.d[i], p.node[i], given_rows(p, b, i), layer);
    table_of<T>(kernels()).row_sums(db, p.d[i], r.width, r.rows);
    if (q) input_gradient(b, i, q, p.d[i], r.rows);
    if (factor == 1) return;
    if (here) k.shrink(dW, factor, layer.n_in * layer.n_out);
    if (q) k.shrink(q, factor, layer.n_in * r.rows);
}

// -- diagonals, the parametric activation, dropout -----------------------------------------------------------------

template <class T> bool has_bias(const Layer &layer) { return layer.size > layer.own * layer.n_out; }

template <class T> void forward_scale(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    const T *s = b.w + layer.at;
    Rows2 r = rows_of(p, layer);
    layers_of<T>(kernels()).scale(p.t[i], p.node[i], s, has_bias<T>(layer) ? s + layer.own * r.width : nullptr, r);
    table_of<T>(kernels()).forward[layer.activation](p.z[i], p.t[i], p.zeros, r.width, r.rows);
}

template <class T> void backward_scale(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    T *ds = p.gradient + layer.at;
    Rows2 r = rows_of(p, layer);
    table_of<T>(kernels()).backward[layer.activation](p.d[i], p.t[i], p.z[i], r.width * r.rows);
    layers_of<T>(kernels()).scale_back(ds, has_bias<T>(layer) ? ds + layer.own * r.width : nullptr,
                                       i ? p.d[i - 1] : nullptr, p.d[i], p.node[i], b.w + layer.at, r);
}

// f(z) lies in t where f' needs no t, which numbers[0] says, and beside it otherwise; z is apart in both cases.
template <class T> T *activated(Piece<T> &p, const Layer &layer, size_t i) {
    return numbers_of<T>(layer)[0] != 0 ? p.aux[i] : p.t[i];
}

template <class T> void forward_parametric(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    Rows2 r = rows_of(p, layer);
    T *F = activated(p, layer, i);
    std::memcpy(p.t[i], p.node[i], r.width * r.rows * sizeof(T));
    table_of<T>(kernels()).forward[layer.activation](F, p.t[i], p.zeros, r.width, r.rows);
    layers_of<T>(kernels()).blend(p.z[i], p.node[i], F, b.w + layer.at, r);
}

template <class T> void backward_parametric(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    Rows2 r = rows_of(p, layer);
    size_t count = r.width * r.rows;
    T *F = activated(p, layer, i), *slope = p.aux[i] + count;
    std::fill(slope, slope + count, (T)1);
    table_of<T>(kernels()).backward[layer.activation](slope, p.t[i], F, count);
    layers_of<T>(kernels()).blend_back(p.gradient + layer.at, i ? p.d[i - 1] : nullptr, p.d[i], p.node[i], F, slope,
                                       b.w + layer.at, r);
}

template <class T> bool drops(const Batch<T> &b, const Layer &layer) { return b.moving && layer.counts[0]; }

template <class T> void forward_dropout(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    Rows2 r{layer.n_out, p.n * layer.times, layer.times};
    if (!drops(b, layer)) p.node[i + 1] = p.node[i];
    else layers_of<T>(kernels()).drop(p.z[i], p.node[i], numbers_of<T>(layer)[0], drops_of(p, b, i), r);
}

template <class T> void backward_dropout(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    Rows2 r{layer.n_out, p.n * layer.times, layer.times};
    if (!i) return;
    if (!drops(b, layer)) std::memcpy(p.d[i - 1], p.d[i], r.width * r.rows * sizeof(T));
    else layers_of<T>(kernels()).drop(p.d[i - 1], p.d[i], numbers_of<T>(layer)[0], drops_of(p, b, i), r);
}

// -- normalisations ------------------------------------------------------------------------------------------------

// The running ones follow the batch's statistics; the variance with N - 1.
template <class T> void move_statistics(T *running, const T *mean, const T *variance, size_t rows, const Layer &layer) {
    T share = numbers_of<T>(layer)[0], unbiased = (T)rows / (T)std::max(rows - 1, (size_t)1);
    for (size_t f = 0; f < layer.n_out; ++f) {
        running[f] += share * (mean[f] - running[f]);
        running[layer.n_out + f] += share * (variance[f] * unbiased - running[layer.n_out + f]);
    }
}

template <class T> void forward_batch_norm(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    const LayerTable<T> &k = layers_of<T>(kernels());
    Rows2 r = rows_of(p, layer);
    const T *part = b.w + layer.at, *running = part + 2 * r.width;
    T *xhat = p.aux[i], *inverse = xhat + r.width * r.rows, *mean = inverse + r.width, *variance = mean + r.width;
    if (b.moving) {
        k.feature_moments(xhat, mean, variance, p.node[i], r);
        move_statistics(b.moving + layer.at + 2 * r.width, mean, variance, r.rows, layer);
    } else {
        k.feature_distances(xhat, p.node[i], running, r);
    }
    k.normalise_features(p.z[i], xhat, inverse, b.moving ? variance : running + r.width, part,
                         numbers_of<T>(layer)[1], r);
}

template <class T> void backward_batch_norm(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    Rows2 r = rows_of(p, layer);
    const T *xhat = p.aux[i], *inverse = xhat + r.width * r.rows;
    T *dpart = p.gradient + layer.at;
    layers_of<T>(kernels()).normalise_features_back(dpart, i ? p.d[i - 1] : nullptr, p.d[i], xhat, inverse,
                                                    b.w + layer.at, b.moving, r);
    std::memset(dpart + 2 * r.width, 0, 2 * r.width * sizeof(T));
}

template <class T> void forward_layer_norm(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    Rows2 r = rows_of(p, layer);
    T *xhat = p.aux[i], *inverse = xhat + r.width * r.rows;
    layers_of<T>(kernels()).normalise_rows(p.z[i], xhat, inverse, inverse + r.rows, p.node[i], b.w + layer.at,
                                           numbers_of<T>(layer)[0], r);
}

template <class T> void backward_layer_norm(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    Rows2 r = rows_of(p, layer);
    T *xhat = p.aux[i], *inverse = xhat + r.width * r.rows;
    layers_of<T>(kernels()).normalise_rows_back(p.gradient + layer.at, i ? p.d[i - 1] : nullptr, p.d[i], xhat, inverse,
                                                inverse + r.rows, b.w + layer.at, r);
}

// -- rows and nodes ------------------------------------------------------------------------------------------------

template <class T> void forward_join(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    size_t count = layer.n_out * p.n * layer.times;
    std::memcpy(p.z[i], p.node[i], count * sizeof(T));
    table_of<T>(kernels()).add(p.z[i], p.node[(size_t)layer.skip], count);
}

template <class T> void backward_join(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    std::memcpy(p.d[i - 1], p.d[i], layer.n_out * p.n * layer.times * sizeof(T));
}

template <class T> void forward_repeat(Piece<T> &p, const Batch<T> &b, size_t i) {
    layers_of<T>(kernels()).repeat(p.z[i], p.node[i], {b.net.layers[i].n_out, p.n, b.net.layers[i].times});
}

template <class T> void backward_repeat(Piece<T> &p, const Batch<T> &b, size_t i) {
    if (i) layers_of<T>(kernels()).repeat_back(p.d[i - 1], p.d[i], {b.net.layers[i].n_out, p.n, b.net.layers[i].times});
}

// -- columns -------------------------------------------------------------------------------------------------------

// Calls f(column, place of its first number in z, place of its parameters, place of its bins) for each column.
template <class F> void each_column(const Layer &layer, F &&f) {
    size_t out = layer.rest.size(), part = 0, bin = 0, c = 0;
    bool own_bins = layer.kind == Kind::piecewise_linear;
    for (int64_t place : layer.places) {
        size_t count = own_bins ? (size_t)layer.counts[c] : 0;
        f(c, (size_t)place, out, part, bin);
        if (layer.kind == Kind::embedding) part += (size_t)layer.counts[c] * layer.width();
        else if (layer.kind == Kind::periodic) part += layer.size / layer.places.size();
        else if (layer.size) part += (count + 1) * layer.width();
        out += own_bins && !layer.size ? count : layer.width();
        bin += count;
        ++c;
    }
}

template <class T> void forward_column(Piece<T> &p, const Batch<T> &b, size_t i, size_t c, const T *x, T *z, const T *part,
                                       size_t bin) {
    const Layer &layer = b.net.layers[i];
    const LayerTable<T> &k = layers_of<T>(kernels());
    size_t n = p.n * layer.times;
    if (layer.kind == Kind::embedding) return k.take(z, x, part, (size_t)layer.counts[c], {layer.width(), n, 1});
    if (layer.kind == Kind::periodic) {
        size_t K = (size_t)layer.counts[0];
        return k.periodic(z, p.aux[i] + c * K * n, x, part, K, {layer.width() - 1, n, 1});
    }
    size_t T_ = (size_t)layer.counts[c];
    const T *start = numbers_of<T>(layer).data() + 2 * bin;
    T *share = layer.size ? p.aux[i] + bin * n : z;
    k.bins(share, x, start, start + T_, {T_, n, 1});
    if (layer.size) k.map(z, share, part, layer.width(), {T_, n, 1});
}

template <class T> void forward_columns(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    size_t n = p.n * layer.times, at = 0;
    for (int64_t j : layer.rest) std::memcpy(p.z[i] + n * at++, p.node[i] + (size_t)j * n, n * sizeof(T));
    each_column(layer, [&](size_t c, size_t place, size_t out, size_t part, size_t bin) {
        if (b.watch->look()) return;
        forward_column(p, b, i, c, p.node[i] + place * n, p.z[i] + out * n, b.w + layer.at + part, bin);
    });
}

template <class T> void backward_column(Piece<T> &p, const Batch<T> &b, size_t i, size_t c, const T *x, T *q, const T *d,
                                        size_t part, size_t bin) {
    const Layer &layer = b.net.layers[i];
    const LayerTable<T> &k = layers_of<T>(kernels());
    size_t n = p.n * layer.times;
    const T *w = b.w + layer.at + part;
    T *g = p.gradient + layer.at + part;
    if (layer.kind == Kind::embedding) {
        if (q) std::memset(q, 0, n * sizeof(T));
        return k.take_back(g, x, d, (size_t)layer.counts[c], {layer.width(), n, 1});
    }
    if (layer.kind == Kind::periodic) {
        size_t K = (size_t)layer.counts[0];
        T *scratch = p.aux[i] + layer.places.size() * K * n;
        return k.periodic_back(g, q, scratch, d, p.aux[i] + c * K * n, x, w, K, {layer.width() - 1, n, 1});
    }
    size_t T_ = (size_t)layer.counts[c];
    const T *start = numbers_of<T>(layer).data() + 2 * bin;
    T *share = p.aux[i] + bin * n, *dshare = share + layer.bins() * n;
    if (layer.size) k.map_back(g, q ? dshare : nullptr, d, share, w, layer.width(), {T_, n, 1});
    if (q) k.bins_back(q, layer.size ? dshare : d, x, start, start + T_, {T_, n, 1});
}

template <class T> void backward_columns(Piece<T> &p, const Batch<T> &b, size_t i) {
    const Layer &layer = b.net.layers[i];
    size_t n = p.n * layer.times, at = 0;
    T *q = i ? p.d[i - 1] : nullptr;
    for (int64_t j : layer.rest) {
        if (q) std::memcpy(q + (size_t)j * n, p.d[i] + n * at, n * sizeof(T));
        ++at;
    }
    each_column(layer, [&](size_t c, size_t place, size_t out, size_t part, size_t bin) {
        if (b.watch->look()) return;
        backward_column(p, b, i, c, p.node[i] + place * n, q ? q + place * n : nullptr, p.d[i] + out * n, part, bin);
    });
}

// -- the table -----------------------------------------------------------------------------------------------------

template <class T> struct LayerPasses {
    void (*forward)(Piece<T> &, const Batch<T> &, size_t);
    void (*backward)(Piece<T> &, const Batch<T> &, size_t);
};

// In the order of Kind.
template <class T> const LayerPasses<T> &passes_of(Kind kind) {
    static const LayerPasses<T> table[] = {
        {&forward_dense<T>, &backward_dense<T>},           {&forward_join<T>, &backward_join<T>},
        {&forward_scale<T>, &backward_scale<T>},           {&forward_parametric<T>, &backward_parametric<T>},
        {&forward_dropout<T>, &backward_dropout<T>},       {&forward_batch_norm<T>, &backward_batch_norm<T>},
        {&forward_layer_norm<T>, &backward_layer_norm<T>}, {&forward_repeat<T>, &backward_repeat<T>},
        {&forward_columns<T>, &backward_columns<T>},       {&forward_columns<T>, &backward_columns<T>},
        {&forward_columns<T>, &backward_columns<T>},
    };
    return table[(size_t)kind];
}

template <class T> void forward_layer(Piece<T> &p, const Batch<T> &b, size_t i) {
    p.node[i + 1] = p.z[i];
    passes_of<T>(b.net.layers[i].kind).forward(p, b, i);
}

template <class T> void backward_layer(Piece<T> &p, const Batch<T> &b, size_t i) {
    passes_of<T>(b.net.layers[i].kind).backward(p, b, i);
}
