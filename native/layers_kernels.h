// The kernels of the layers beside Dense; letters and layout as in kernels.h: feature-major, (width, rows).
//
// Where a layer has parameters for each of `groups` members, the rows of a feature are that many stretches of equal
// length, one a member, and the parameters lie member after member.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct Rows2 {
    size_t width, rows, groups;
};

// Which entries a dropout drops: those whose hash is below `threshold`. Entry f of row i of member j is number
// (j all + first + i) width + f of the batch's, so no cut into pieces changes it.
struct Drops {
    uint32_t key_low, key_high, threshold;
    size_t all, first;
};

// Columns that are turned: one of n_in numbers at `place` of the input becomes those from `out` on.
template <class T> struct LayerTable {
    // x <- x factor
    void (*shrink)(T *x, T factor, size_t count);
    // t <- t + b, each member's b `apart` from the one before; out <- sums of D, as far apart
    void (*shift)(T *t, const T *b, size_t apart, const Rows2 &r);
    void (*group_sums)(T *out, const T *D, size_t apart, const Rows2 &r);
    // t <- s z + b, b may be null
    void (*scale)(T *t, const T *z, const T *s, const T *b, const Rows2 &r);
    // ds <- sums of D z, db <- sums of D where it is not null, Q <- s D where it is not null
    void (*scale_back)(T *ds, T *db, T *Q, const T *D, const T *z, const T *s, const Rows2 &r);
    // out <- z + a (F - z)
    void (*blend)(T *out, const T *z, const T *F, const T *a, const Rows2 &r);
    // da <- sums of D (F - z), Q <- D (1 + a (slope - 1)) where it is not null
    void (*blend_back)(T *da, T *Q, const T *D, const T *z, const T *F, const T *slope, const T *a, const Rows2 &r);
    // out <- z factor where an entry is kept, 0 elsewhere
    void (*drop)(T *out, const T *z, T factor, const Drops &d, const Rows2 &r);
    // mean, variance (width) <- of each feature over the rows; off <- z - mean
    void (*feature_moments)(T *off, T *mean, T *variance, const T *z, const Rows2 &r);
    // off <- z - mean
    void (*feature_distances)(T *off, const T *z, const T *mean, const Rows2 &r);
    // xhat <- xhat inverse, inverse <- 1 / sqrt(variance + epsilon); out <- gamma xhat + beta
    void (*normalise_features)(T *out, T *xhat, T *inverse, const T *variance, const T *gamma_beta, T epsilon,
                               const Rows2 &r);
    // dgamma_beta (2 width) <- sums; Q <- through the normalisation, `own` where the moments are those of the rows
    void (*normalise_features_back)(T *dgamma_beta, T *Q, const T *D, const T *xhat, const T *inverse, const T *gamma,
                                    bool own, const Rows2 &r);
    // the same over the features of each row; inverse (rows), scratch (rows)
    void (*normalise_rows)(T *out, T *xhat, T *inverse, T *scratch, const T *z, const T *gamma_beta, T epsilon,
                           const Rows2 &r);
    void (*normalise_rows_back)(T *dgamma_beta, T *Q, const T *D, const T *xhat, const T *inverse, T *scratch,
                                const T *gamma, const Rows2 &r);
    // out (width, groups, rows) <- z (width, rows) for each member; Q <- the sums over the members of D
    void (*repeat)(T *out, const T *z, const Rows2 &r);
    void (*repeat_back)(T *Q, const T *D, const Rows2 &r);
    // out (width, rows) <- table (count, width) at the codes (rows), NaN where a number is no code
    void (*take)(T *out, const T *codes, const T *table, size_t count, const Rows2 &r);
    void (*take_back)(T *dtable, const T *codes, const T *D, size_t count, const Rows2 &r);
    // wave (K, rows) <- cos(2 pi x u + v); out (1 + d, rows) <- (x, W^T wave + b), width = d; part = u, v (K), W (K, d), b
    void (*periodic)(T *out, T *wave, const T *x, const T *part, size_t K, const Rows2 &r);
    // dpart; dx (rows) where it is not null; scratch (rows)
    void (*periodic_back)(T *dpart, T *dx, T *scratch, const T *D, const T *wave, const T *x, const T *part, size_t K,
                          const Rows2 &r);
    // share (width, rows) <- (x - start) inverse within [0, 1], open at both ends
    void (*bins)(T *share, const T *x, const T *start, const T *inverse, const Rows2 &r);
    // dx (rows) <- sums over the bins of D times their slopes
    void (*bins_back)(T *dx, const T *D, const T *x, const T *start, const T *inverse, const Rows2 &r);
    // out (d, rows) <- W^T z + b from z (width, rows) and part = W (width, d), b; backward
    void (*map)(T *out, const T *z, const T *part, size_t d, const Rows2 &r);
    void (*map_back)(T *dpart, T *dz, const T *D, const T *z, const T *part, size_t d, const Rows2 &r);
};

struct LayerTables {
    LayerTable<float> f32;
    LayerTable<double> f64;
};
