// The kernels of the layers beside Dense, compiled once for each instruction set like kernels.cpp and under its rules.
#include "layers_kernels.h"

#include <math.h>
#include <string.h>

namespace {

#include "elementary.h"
#include "sums.h"
#include "waves.h"

inline float sqrt_(float x) { return sqrtf(x); }
inline double sqrt_(double x) { return sqrt(x); }

// sum of x y
template <class T> T dot_of(const T *x, const T *y, size_t n) {
    return sum_over<T>(n, [=](size_t i) { return x[i] * y[i]; });
}

// sum of d (a - b)
template <class T> T difference_of(const T *d, const T *a, const T *b, size_t n) {
    return sum_over<T>(n, [=](size_t i) { return d[i] * (a[i] - b[i]); });
}

// -- diagonals, the parametric activation ------------------------------------------------------------------------

template <class T> void shrink(T *x, T factor, size_t count) {
    for (size_t i = 0; i < count; ++i) x[i] *= factor;
}

template <class T> void shift(T *t, const T *b, size_t apart, const Rows2 &r) {
    size_t n = r.rows / r.groups;
    for (size_t f = 0; f < r.width; ++f)
        for (size_t j = 0; j < r.groups; ++j)
            for (size_t i = 0; i < n; ++i) t[f * r.rows + j * n + i] += b[j * apart + f];
}

template <class T> void group_sums(T *out, const T *D, size_t apart, const Rows2 &r) {
    size_t n = r.rows / r.groups;
    for (size_t f = 0; f < r.width; ++f)
        for (size_t j = 0; j < r.groups; ++j) out[j * apart + f] = sum_of(D + f * r.rows + j * n, n);
}

template <class T> void scale(T *__restrict t, const T *__restrict z, const T *s, const T *b, const Rows2 &r) {
    size_t n = r.rows / r.groups;
    for (size_t f = 0; f < r.width; ++f)
        for (size_t j = 0; j < r.groups; ++j) {
            size_t at = f * r.rows + j * n;
            T factor = s[j * r.width + f], shift = b ? b[j * r.width + f] : (T)0;
            for (size_t i = at; i < at + n; ++i) t[i] = z[i] * factor + shift;
        }
}

template <class T>
void scale_back(T *ds, T *db, T *__restrict Q, const T *__restrict D, const T *z, const T *s, const Rows2 &r) {
    size_t n = r.rows / r.groups;
    for (size_t f = 0; f < r.width; ++f)
        for (size_t j = 0; j < r.groups; ++j) {
            size_t at = f * r.rows + j * n, own = j * r.width + f;
            ds[own] = dot_of(D + at, z + at, n);
            if (db) db[own] = sum_of(D + at, n);
            if (!Q) continue;
            for (size_t i = at; i < at + n; ++i) Q[i] = D[i] * s[own];
        }
}

template <class T> void blend(T *__restrict out, const T *z, const T *F, const T *a, const Rows2 &r) {
    for (size_t f = 0; f < r.width; ++f)
        for (size_t i = f * r.rows; i < (f + 1) * r.rows; ++i) out[i] = (F[i] - z[i]) * a[f] + z[i];
}

template <class T>
void blend_back(T *da, T *__restrict Q, const T *D, const T *z, const T *F, const T *slope, const T *a,
                const Rows2 &r) {
    for (size_t f = 0; f < r.width; ++f) {
        size_t at = f * r.rows;
        da[f] = difference_of(D + at, F + at, z + at, r.rows);
        if (!Q) continue;
        for (size_t i = at; i < at + r.rows; ++i) Q[i] = D[i] * ((slope[i] - 1) * a[f] + 1);
    }
}

// -- dropout: the hash of engine/masks.py ------------------------------------------------------------------------

inline uint32_t mixed(uint32_t x) {
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

template <class T> void drop(T *__restrict out, const T *__restrict z, T factor, const Drops &d, const Rows2 &r) {
    size_t n = r.rows / r.groups;
    uint32_t width = (uint32_t)r.width;
    for (size_t f = 0; f < r.width; ++f)
        for (size_t j = 0; j < r.groups; ++j) {
            size_t at = f * r.rows + j * n;
            uint32_t number = (uint32_t)(j * d.all + d.first) * width + (uint32_t)f;
            for (size_t i = 0; i < n; ++i) {
                uint32_t x = mixed(mixed((number + (uint32_t)i * width) ^ d.key_low) ^ d.key_high);
                out[at + i] = z[at + i] * ((x >> 8) >= d.threshold ? factor : (T)0);
            }
        }
}

// -- normalisations ----------------------------------------------------------------------------------------------

// The mean is taken twice: of the numbers, and of what they are off it, which is all that rounding left of the first. So
// a spread of a thousandth of the mean costs no digits (Chan, Golub and LeVeque 1983, the two-pass algorithm).
template <class T> void feature_moments(T *__restrict off, T *mean, T *variance, const T *__restrict z, const Rows2 &r) {
    for (size_t f = 0; f < r.width; ++f) {
        T *x = off + f * r.rows, m = sum_of(z + f * r.rows, r.rows) / (T)r.rows;
        for (size_t i = 0; i < r.rows; ++i) x[i] = z[f * r.rows + i] - m;
        T rest = sum_of(x, r.rows) / (T)r.rows;
        for (size_t i = 0; i < r.rows; ++i) x[i] -= rest;
        mean[f] = m + rest;
        variance[f] = dot_of(x, x, r.rows) / (T)r.rows;
    }
}

template <class T> void feature_distances(T *__restrict off, const T *__restrict z, const T *mean, const Rows2 &r) {
    for (size_t f = 0; f < r.width; ++f)
        for (size_t i = f * r.rows; i < (f + 1) * r.rows; ++i) off[i] = z[i] - mean[f];
}

template <class T>
void normalise_features(T *__restrict out, T *__restrict xhat, T *inverse, const T *variance, const T *gamma_beta,
                        T epsilon, const Rows2 &r) {
    for (size_t f = 0; f < r.width; ++f) {
        T inv = 1 / sqrt_(variance[f] + epsilon), gamma = gamma_beta[f], beta = gamma_beta[r.width + f];
        inverse[f] = inv;
        for (size_t i = f * r.rows; i < (f + 1) * r.rows; ++i) {
            T x = xhat[i] * inv;
            xhat[i] = x;
            out[i] = x * gamma + beta;
        }
    }
}

template <class T>
void normalise_features_back(T *dgamma_beta, T *__restrict Q, const T *D, const T *xhat, const T *inverse,
                             const T *gamma, bool own, const Rows2 &r) {
    for (size_t f = 0; f < r.width; ++f) {
        size_t at = f * r.rows;
        T across = dot_of(D + at, xhat + at, r.rows), sum = sum_of(D + at, r.rows);
        dgamma_beta[f] = across;
        dgamma_beta[r.width + f] = sum;
        if (!Q) continue;
        T g = gamma[f] * inverse[f];
        if (own) {
            across /= (T)r.rows, sum /= (T)r.rows;
            for (size_t i = at; i < at + r.rows; ++i) Q[i] = (D[i] - sum - xhat[i] * across) * g;
        } else {  // of other rows the sums are none of its business: one of them may hold a NaN
            for (size_t i = at; i < at + r.rows; ++i) Q[i] = D[i] * g;
        }
    }
}

// Features are few and rows many, so each pass runs along the rows and adds up in `mean` and `inverse`. The mean is taken
// twice, as above.
template <class T>
void normalise_rows(T *__restrict out, T *__restrict xhat, T *__restrict inverse, T *__restrict mean, const T *z,
                    const T *gamma_beta, T epsilon, const Rows2 &r) {
    size_t n = r.rows, bytes = n * sizeof(T);
    T *rest = inverse, *squares = inverse;
    memset(mean, 0, bytes);
    for (size_t f = 0; f < r.width; ++f)
        for (size_t i = 0; i < n; ++i) mean[i] += z[f * n + i];
    for (size_t i = 0; i < n; ++i) mean[i] /= (T)r.width;
    memset(rest, 0, bytes);
    for (size_t f = 0; f < r.width; ++f)
        for (size_t i = 0; i < n; ++i) {
            T x = z[f * n + i] - mean[i];
            xhat[f * n + i] = x;
            rest[i] += x;
        }
    for (size_t i = 0; i < n; ++i) mean[i] = rest[i] / (T)r.width;  // of the xhat
    memset(squares, 0, bytes);
    for (size_t f = 0; f < r.width; ++f)
        for (size_t i = 0; i < n; ++i) {
            T x = xhat[f * n + i] - mean[i];
            xhat[f * n + i] = x;
            squares[i] += x * x;
        }
    for (size_t i = 0; i < n; ++i) inverse[i] = 1 / sqrt_(squares[i] / (T)r.width + epsilon);
    for (size_t f = 0; f < r.width; ++f)
        for (size_t i = 0; i < n; ++i) {
            T x = xhat[f * n + i] * inverse[i];
            xhat[f * n + i] = x;
            out[f * n + i] = x * gamma_beta[f] + gamma_beta[r.width + f];
        }
}

template <class T>
void normalise_rows_back(T *dgamma_beta, T *__restrict Q, const T *D, const T *xhat, const T *inverse,
                         T *__restrict scratch, const T *gamma, const Rows2 &r) {
    size_t n = r.rows;
    T *sum = scratch, *across = scratch + n;
    memset(scratch, 0, 2 * n * sizeof(T));
    for (size_t f = 0; f < r.width; ++f) {
        dgamma_beta[f] = dot_of(D + f * n, xhat + f * n, n);
        dgamma_beta[r.width + f] = sum_of(D + f * n, n);
        for (size_t i = 0; i < n; ++i) {
            T e = D[f * n + i] * gamma[f];
            sum[i] += e;
            across[i] += e * xhat[f * n + i];
        }
    }
    if (!Q) return;
    for (size_t i = 0; i < 2 * n; ++i) scratch[i] /= (T)r.width;
    for (size_t f = 0; f < r.width; ++f)
        for (size_t i = 0; i < n; ++i)
            Q[f * n + i] = (D[f * n + i] * gamma[f] - sum[i] - xhat[f * n + i] * across[i]) * inverse[i];
}

// -- members -----------------------------------------------------------------------------------------------------

template <class T> void repeat(T *out, const T *z, const Rows2 &r) {
    for (size_t f = 0; f < r.width; ++f)
        for (size_t j = 0; j < r.groups; ++j)
            memcpy(out + (f * r.groups + j) * r.rows, z + f * r.rows, r.rows * sizeof(T));
}

template <class T> void repeat_back(T *__restrict Q, const T *__restrict D, const Rows2 &r) {
    for (size_t f = 0; f < r.width; ++f) {
        T *q = Q + f * r.rows;
        memcpy(q, D + f * r.groups * r.rows, r.rows * sizeof(T));
        for (size_t j = 1; j < r.groups; ++j)
            for (size_t i = 0; i < r.rows; ++i) q[i] += D[(f * r.groups + j) * r.rows + i];
    }
}

// -- columns -----------------------------------------------------------------------------------------------------

// The code that a number is; `count` where it is none
template <class T> inline size_t code_of(T x, size_t count) {
    if (!(x >= 0 && x < (T)count)) return count;
    size_t code = (size_t)x;
    return (T)code == x ? code : count;
}

template <class T> void take(T *out, const T *codes, const T *table, size_t count, const Rows2 &r) {
    for (size_t i = 0; i < r.rows; ++i) {
        size_t code = code_of(codes[i], count);
        for (size_t f = 0; f < r.width; ++f)
            out[f * r.rows + i] = code < count ? table[code * r.width + f] : (T)NAN;
    }
}

template <class T> void take_back(T *dtable, const T *codes, const T *D, size_t count, const Rows2 &r) {
    memset(dtable, 0, count * r.width * sizeof(T));
    for (size_t i = 0; i < r.rows; ++i) {
        size_t code = code_of(codes[i], count);
        if (code == count) code = 0;  // its loss is NaN already
        for (size_t f = 0; f < r.width; ++f) dtable[code * r.width + f] += D[f * r.rows + i];
    }
}

constexpr double TWO_PI = 6.28318530717958647693;

// a <- 2 pi x u + v
template <class T> inline void angles(T *__restrict a, const T *__restrict x, T u, T v, size_t n) {
    for (size_t i = 0; i < n; ++i) a[i] = (T)TWO_PI * x[i] * u + v;
}

template <class T> void periodic(T *out, T *wave, const T *x, const T *part, size_t K, const Rows2 &r) {
    size_t n = r.rows, d = r.width;
    const T *u = part, *v = part + K, *W = part + 2 * K, *b = W + K * d;
    memcpy(out, x, n * sizeof(T));
    for (size_t k = 0; k < K; ++k) {
        angles(wave + k * n, x, u[k], v[k], n);
        cosines(wave + k * n, n);
    }
    for (size_t q = 0; q < d; ++q) {
        T *__restrict o = out + (1 + q) * n;
        for (size_t i = 0; i < n; ++i) o[i] = b[q];
        for (size_t k = 0; k < K; ++k)
            for (size_t i = 0; i < n; ++i) o[i] += wave[k * n + i] * W[k * d + q];
    }
}

template <class T>
void periodic_back(T *dpart, T *dx, T *__restrict scratch, const T *D, const T *wave, const T *x, const T *part,
                   size_t K, const Rows2 &r) {
    size_t n = r.rows, d = r.width;
    const T *u = part, *v = part + K, *W = part + 2 * K;
    T *du = dpart, *dv = dpart + K, *dW = dpart + 2 * K, *db = dW + K * d;
    for (size_t q = 0; q < d; ++q) db[q] = sum_of(D + (1 + q) * n, n);
    if (dx) memcpy(dx, D, n * sizeof(T));
    for (size_t k = 0; k < K; ++k) {
        for (size_t q = 0; q < d; ++q) dW[k * d + q] = dot_of(wave + k * n, D + (1 + q) * n, n);
        angles(scratch, x, u[k], v[k], n);
        sines(scratch, n);
        for (size_t i = 0; i < n; ++i) {
            T back = 0;
            for (size_t q = 0; q < d; ++q) back += D[(1 + q) * n + i] * W[k * d + q];
            scratch[i] *= -back;
        }
        dv[k] = sum_of(scratch, n);
        du[k] = (T)TWO_PI * dot_of(scratch, x, n);
        if (!dx) continue;
        T slope = (T)TWO_PI * u[k];
        for (size_t i = 0; i < n; ++i) dx[i] += scratch[i] * slope;
    }
}

template <class T>
void bins(T *__restrict share, const T *__restrict x, const T *start, const T *inverse, const Rows2 &r) {
    for (size_t j = 0; j < r.width; ++j) {
        bool first = j == 0, last = j + 1 == r.width;
        for (size_t i = 0; i < r.rows; ++i) {
            T t = (x[i] - start[j]) * inverse[j];
            t = first || !(t < 0) ? t : (T)0;
            share[j * r.rows + i] = last || !(t > 1) ? t : (T)1;
        }
    }
}

template <class T>
void bins_back(T *__restrict dx, const T *__restrict D, const T *x, const T *start, const T *inverse, const Rows2 &r) {
    memset(dx, 0, r.rows * sizeof(T));
    for (size_t j = 0; j < r.width; ++j) {
        bool first = j == 0, last = j + 1 == r.width;
        for (size_t i = 0; i < r.rows; ++i) {
            T t = (x[i] - start[j]) * inverse[j];
            bool rises = (first || t > 0) && (last || t <= 1);
            dx[i] += D[j * r.rows + i] * (rises ? inverse[j] : (T)0);
        }
    }
}

template <class T> void map(T *out, const T *z, const T *part, size_t d, const Rows2 &r) {
    const T *b = part + r.width * d;
    for (size_t q = 0; q < d; ++q) {
        T *__restrict o = out + q * r.rows;
        for (size_t i = 0; i < r.rows; ++i) o[i] = b[q];
        for (size_t j = 0; j < r.width; ++j)
            for (size_t i = 0; i < r.rows; ++i) o[i] += z[j * r.rows + i] * part[j * d + q];
    }
}

template <class T>
void map_back(T *dpart, T *dz, const T *D, const T *z, const T *part, size_t d, const Rows2 &r) {
    size_t n = r.rows;
    for (size_t q = 0; q < d; ++q) dpart[r.width * d + q] = sum_of(D + q * n, n);
    for (size_t j = 0; j < r.width; ++j) {
        for (size_t q = 0; q < d; ++q) dpart[j * d + q] = dot_of(z + j * n, D + q * n, n);
        if (!dz) continue;
        T *__restrict out = dz + j * n;
        memset(out, 0, n * sizeof(T));
        for (size_t q = 0; q < d; ++q)
            for (size_t i = 0; i < n; ++i) out[i] += D[q * n + i] * part[j * d + q];
    }
}

template <class T> constexpr LayerTable<T> table() {
    return {&shrink<T>,   &shift<T>,      &group_sums<T>,      &scale<T>,    &scale_back<T>,
            &blend<T>,    &blend_back<T>, &drop<T>,            &feature_moments<T>,
            &feature_distances<T>,
            &normalise_features<T>,       &normalise_features_back<T>,
            &normalise_rows<T>,           &normalise_rows_back<T>,
            &repeat<T>,   &repeat_back<T>, &take<T>,           &take_back<T>,
            &periodic<T>, &periodic_back<T>, &bins<T>,         &bins_back<T>,
            &map<T>,      &map_back<T>};
}

}  // namespace

#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
extern "C" const LayerTables JOINED(layerloop_layers_, LAYERLOOP_ISA);
extern "C" const LayerTables JOINED(layerloop_layers_, LAYERLOOP_ISA) = {table<float>(), table<double>()};
