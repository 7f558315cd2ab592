// Compiled once for each instruction set (LAYERLOOP_ISA). C headers only and everything in an anonymous namespace: a
// weak symbol leaving this file could make the linker keep the AVX-512 copy for every machine.
#include "kernels.h"

#include <math.h>
#include <string.h>

namespace {

#include "elementary.h"
#include "sums.h"
#include "vectors.h"
#include "transpose.h"

inline float sqrt_(float x) { return sqrtf(x); }
inline double sqrt_(double x) { return sqrt(x); }

// -- activations: f(t) and f'(t, z), as engine/activations.py has them -------------------------------------------

constexpr double LEAK = 0.01, SELU_SCALE = 1.0507009873554805, SELU_ALPHA = 1.6732632423543772;

struct Identity {
    static constexpr bool keeps_t = false;
    template <class T> static T f(T t) { return t; }
    template <class T> static T df(T, T) { return 1; }
};
struct Sigmoid {
    static constexpr bool keeps_t = false;
    template <class T> static T f(T t) { return sigmoid_(t); }
    template <class T> static T df(T, T z) { return (1 - z) * z; }
};
struct Tanh {
    static constexpr bool keeps_t = false;
    template <class T> static T f(T t) { return tanh_(t); }
    template <class T> static T df(T, T z) { return 1 - z * z; }
};
struct Relu {
    static constexpr bool keeps_t = false;
    template <class T> static T f(T t) { return at_least(t, (T)0); }
    template <class T> static T df(T, T z) { return z > 0 ? (T)1 : (T)0; }
};
struct LeakyRelu {
    static constexpr bool keeps_t = false;
    template <class T> static T f(T t) { return t > 0 ? t : t * (T)LEAK; }
    template <class T> static T df(T, T z) { return z > 0 ? (T)1 : (T)LEAK; }
};
struct Elu {
    static constexpr bool keeps_t = false;
    template <class T> static T f(T t) { return t > 0 ? t : expm1_(t); }
    template <class T> static T df(T, T z) { return at_most(z, (T)0) + 1; }
};
struct Selu {
    static constexpr bool keeps_t = false;
    template <class T> static T f(T t) { return (T)SELU_SCALE * (t > 0 ? t : (T)SELU_ALPHA * expm1_(t)); }
    template <class T> static T df(T, T z) { return z > 0 ? (T)SELU_SCALE : z + (T)(SELU_SCALE * SELU_ALPHA); }
};
struct Gelu {
    static constexpr bool keeps_t = true;
    template <class T> static T f(T t) {
        T bell;
        return t * normal_cdf(t, bell);
    }
    template <class T> static T df(T t, T) {
        T bell, cdf = normal_cdf(t, bell);
        return cdf + bell * (T)0.39894228040143267794 * t;
    }
};
struct Silu {
    static constexpr bool keeps_t = true;
    template <class T> static T f(T t) { return t * sigmoid_(t); }
    template <class T> static T df(T t, T z) {
        T s = sigmoid_(t);
        return s + (1 - s) * z;
    }
};
// tanh(log(1 + e^t)) = q / (q + 2) with q = e^t (e^t + 2)
template <class T> inline T tanh_softplus(T t) {
    T e = exp_(at_most(t, Float<T>::mish_hi));
    T q = e * (e + 2);
    return q / (q + 2);
}
struct Mish {
    static constexpr bool keeps_t = true;
    template <class T> static T f(T t) { return t * tanh_softplus(t); }
    template <class T> static T df(T t, T) {
        T h = tanh_softplus(t);
        return h + t * sigmoid_(t) * (1 - h * h);
    }
};
struct Softplus {
    static constexpr bool keeps_t = false;
    template <class T> static T f(T t) { return (t > 0 ? t : (T)0) + log1p_(exp_(t > 0 ? -t : t)); }
    template <class T> static T df(T, T z) { return -expm1_(-z); }
};
struct HardSigmoid {
    static constexpr bool keeps_t = true;
    template <class T> static T f(T t) { return at_most(at_least(t * (T)(1.0 / 6) + (T)0.5, (T)0), (T)1); }
    template <class T> static T df(T t, T) { return t > -3 && t <= 3 ? (T)(1.0 / 6) : (T)0; }
};

constexpr size_t NARROW = 16;  // rows below which a loop along them does not pay

template <class T> void add_bias(T *t, const T *bias, size_t width, size_t n) {
    for (size_t j = 0; j < width; ++j)
        for (size_t i = 0; i < n; ++i) t[j * n + i] += bias[j];
}

template <class A, class T> void in_place(T *t, T b, size_t n) {
    for (size_t i = 0; i < n; ++i) t[i] = A::f(t[i] + b);
}

template <class A, class T> void beside(T *__restrict z, T *__restrict t, T b, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        T x = t[i] + b;
        t[i] = x;
        z[i] = A::f(x);
    }
}

template <class A, class T> void one_row(T *z, T *t, T b, size_t n) {
    if constexpr (A::keeps_t) beside<A>(z, t, b, n);
    else in_place<A>(t, b, n);
}

template <class A, class T> void forward(T *z, T *t, const T *bias, size_t width, size_t n) {
    if (n < NARROW) {
        add_bias(t, bias, width, n);
        return one_row<A>(z, t, (T)0, width * n);
    }
    for (size_t j = 0; j < width; ++j) one_row<A>(z + j * n, t + j * n, bias[j], n);
}

template <class A, class T> void backward(T *__restrict D, const T *t, const T *z, size_t count) {
    for (size_t i = 0; i < count; ++i) D[i] *= A::df(t[i], z[i]);
}

template <class T> void nothing(T *, const T *, const T *, size_t) {}  // f' = 1: no product with it

// -- sums, copies ------------------------------------------------------------------------------------------------

template <class T> void row_sums(T *out, const T *D, size_t width, size_t n) {
    for (size_t j = 0; j < width; ++j) out[j] = sum_of(D + j * n, n);
}

template <class T> void add(T *__restrict out, const T *__restrict a, size_t count) {
    for (size_t i = 0; i < count; ++i) out[i] += a[i];
}

template <class T> void unpack(T *__restrict x, const uint8_t *__restrict bytes, size_t d, T scale) {
    for (size_t i = 0; i < d; ++i) x[i] = (T)(int32_t)bytes[i] * scale;
}

// By the exponent's bits, all ones in infinity and NaN: whole numbers are summed in any order, so this is vectorised.
template <class T> bool finite(const T *x, size_t count) {
    const auto ones = bits_of((T)INFINITY);
    auto worst = ones & 0;
    for (size_t i = 0; i < count; ++i) worst |= (bits_of(x[i]) & ones) == ones;
    return !worst;
}

// -- rules: the operations of optim/descent.py and adaptive.py in their order, so that an update has their bits ---

template <class T> void descent(T *__restrict w, T *, T *, const T *__restrict g, size_t n, const Scalars<T> &s) {
    T rate = s.a;
    for (size_t i = 0; i < n; ++i) w[i] -= g[i] * rate;
}

template <class T>
void momentum(T *__restrict w, T *__restrict u, T *, const T *__restrict g, size_t n, const Scalars<T> &s) {
    T rate = s.a, rho = s.b;
    for (size_t i = 0; i < n; ++i) {
        T x = u[i] * rho + g[i];
        u[i] = x;
        w[i] -= x * rate;
    }
}

template <class T>
void nesterov(T *__restrict w, T *__restrict u, T *, const T *__restrict g, size_t n, const Scalars<T> &s) {
    T rate = s.a, rho = s.b;
    for (size_t i = 0; i < n; ++i) {
        T x = u[i] * rho + g[i];
        u[i] = x;
        w[i] -= (x * rho + g[i]) * rate;
    }
}

template <class T>
void rmsprop(T *__restrict w, T *__restrict u, T *, const T *__restrict g, size_t n, const Scalars<T> &s) {
    T rate = s.a, rho = s.b, rest = s.c, epsilon = s.d;
    for (size_t i = 0; i < n; ++i) {
        T x = u[i] * rho + g[i] * g[i] * rest;
        u[i] = x;
        w[i] -= g[i] / (sqrt_(x) + epsilon) * rate;
    }
}

template <class T>
void adagrad(T *__restrict w, T *__restrict u, T *, const T *__restrict g, size_t n, const Scalars<T> &s) {
    T rate = s.a, epsilon = s.d;
    for (size_t i = 0; i < n; ++i) {
        T x = u[i] + g[i] * g[i];
        u[i] = x;
        w[i] -= g[i] / (sqrt_(x) + epsilon) * rate;
    }
}

// b beta1 / (1 - beta1), d and e beta2 and 1 - beta2; the sign of NaN is NaN
template <class T>
void lion(T *__restrict w, T *__restrict u, T *, const T *__restrict g, size_t n, const Scalars<T> &s) {
    T rate = s.a, ratio = s.b, b2 = s.d, c2 = s.e;
    for (size_t i = 0; i < n; ++i) {
        T x = u[i] * ratio + g[i];
        T sign = x > 0 ? (T)1 : x < 0 ? (T)-1 : x;
        w[i] -= sign * rate;
        u[i] = u[i] * b2 + g[i] * c2;
    }
}

// a rate of the step along the gradient, h of that along the first moment, the others as in adam
template <class T>
void nadam(T *__restrict w, T *__restrict u, T *__restrict v, const T *__restrict g, size_t n, const Scalars<T> &s) {
    T rate = s.a, b1 = s.b, c1 = s.c, b2 = s.d, c2 = s.e, epsilon = s.f, ahead = s.h;
    for (size_t i = 0; i < n; ++i) {
        T x = u[i] * b1 + g[i] * c1;
        T y = v[i] * b2 + g[i] * g[i] * c2;
        u[i] = x;
        v[i] = y;
        T root = sqrt_(y) + epsilon, next = w[i] - g[i] / root * rate;
        w[i] = next - x / root * ahead;
    }
}

// h not 0: v rests on too few gradients, and the step goes along the first moment alone
template <class T>
void radam(T *__restrict w, T *__restrict u, T *__restrict v, const T *__restrict g, size_t n, const Scalars<T> &s) {
    T rate = s.a, b1 = s.b, c1 = s.c, b2 = s.d, c2 = s.e, epsilon = s.f;
    bool plain = s.h != 0;
    for (size_t i = 0; i < n; ++i) {
        T x = u[i] * b1 + g[i] * c1;
        T y = v[i] * b2 + g[i] * g[i] * c2;
        u[i] = x;
        v[i] = y;
        w[i] -= (plain ? x : x / (sqrt_(y) + epsilon)) * rate;
    }
}

// a rate of this step, b and c beta1 and 1 - beta1, d and e beta2 and 1 - beta2, f epsilon of this step, h the factor
// that weight decay leaves of w before the step
template <bool decays, class T>
void adam(T *__restrict w, T *__restrict u, T *__restrict v, const T *__restrict g, size_t n, const Scalars<T> &s) {
    T rate = s.a, b1 = s.b, c1 = s.c, b2 = s.d, c2 = s.e, epsilon = s.f, keep = s.h;
    for (size_t i = 0; i < n; ++i) {
        T x = u[i] * b1 + g[i] * c1;
        T y = v[i] * b2 + g[i] * g[i] * c2;
        u[i] = x;
        v[i] = y;
        w[i] = (decays ? w[i] * keep : w[i]) - x / (sqrt_(y) + epsilon) * rate;
    }
}

// -- around a rule: the operations of optim/adjusted.py ------------------------------------------------------------

template <class T> void prepare(T *out, const T *g, const T *w, size_t count, const Changes<T> &c) {
    T bound = c.bound, factor = c.factor, l2 = c.l2;
    for (size_t i = 0; i < count; ++i) out[i] = at_most(at_least(g[i], -bound), bound) * factor;
    if (l2 == 0) return;
    for (size_t i = 0; i < count; ++i) out[i] += w[i] * l2;
}

// In eight lanes of double, so that no square of a float overflows.
template <class T> double squares(const T *g, size_t count) {
    double lanes[8] = {};
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (size_t l = 0; l < 8; ++l) lanes[l] += (double)g[i + l] * (double)g[i + l];
    for (size_t l = 0; i < count; ++i, ++l) lanes[l] += (double)g[i] * (double)g[i];
    double sum = 0;
    for (double lane : lanes) sum += lane;
    return sum;
}

template <class T> void average(T *a, const T *w, T share, size_t count) {
    for (size_t i = 0; i < count; ++i) a[i] += (w[i] - a[i]) * share;
}

// -- the plain product -------------------------------------------------------------------------------------------

template <class T> void product(T *C, const T *A, const T *B, const Product &p) {
    for (int64_t j = 0; j < p.n; ++j) {
        T *__restrict c = C + j * p.ldc;
        for (int64_t i = 0; i < p.m && !p.adds; ++i) c[i] = 0;
        for (int64_t l = 0; l < p.k; ++l) {
            T b = p.trans_b ? B[j + l * p.ldb] : B[l + j * p.ldb];
            if (p.trans_a)
                for (int64_t i = 0; i < p.m; ++i) c[i] += A[l + i * p.lda] * b;
            else
                for (int64_t i = 0; i < p.m; ++i) c[i] += A[i + l * p.lda] * b;
        }
    }
}

// In the order of plan.ACTIVATIONS and of RuleKind; a test holds the names against these places.
template <class T> constexpr Table<T> table() {
    return {
        &unpack<T>,
        &finite<T>,
        &transpose<T>,
        {&forward<Identity, T>, &forward<Sigmoid, T>, &forward<Tanh, T>, &forward<Relu, T>, &forward<LeakyRelu, T>,
         &forward<Elu, T>, &forward<Selu, T>, &forward<Gelu, T>, &forward<Silu, T>, &forward<Mish, T>,
         &forward<Softplus, T>, &forward<HardSigmoid, T>},
        {&nothing<T>, &backward<Sigmoid, T>, &backward<Tanh, T>, &backward<Relu, T>, &backward<LeakyRelu, T>,
         &backward<Elu, T>, &backward<Selu, T>, &backward<Gelu, T>, &backward<Silu, T>, &backward<Mish, T>,
         &backward<Softplus, T>, &backward<HardSigmoid, T>},
        &row_sums<T>,
        &add<T>,
        &prepare<T>,
        &squares<T>,
        &average<T>,
        {&descent<T>, &momentum<T>, &nesterov<T>, &rmsprop<T>, &adagrad<T>, &lion<T>,
         &adam<false, T>, &adam<true, T>, &nadam<T>, &radam<T>, &adam<false, T>},
        &product<T>,
    };
}

}  // namespace

#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define NAME JOINED(layerloop_kernels_, LAYERLOOP_ISA)
#define TILES JOINED(layerloop_tiles_, LAYERLOOP_ISA)
#define ENTRIES JOINED(layerloop_entries_, LAYERLOOP_ISA)
#define LAYERS JOINED(layerloop_layers_, LAYERLOOP_ISA)
#define LOSSES JOINED(layerloop_losses_, LAYERLOOP_ISA)
extern "C" const TileTables TILES;
extern "C" const EntryTables ENTRIES;
extern "C" const LayerTables LAYERS;
extern "C" const LossTables LOSSES;
extern "C" const Kernels NAME;
extern "C" const Kernels NAME = {TEXT(LAYERLOOP_ISA), table<float>(), table<double>(), &TILES, &ENTRIES,
                               &LAYERS, &LOSSES};
