// exp, expm1, log, log1p and the normal distribution as straight lines of arithmetic, so that a loop over them becomes
// vector code. Within a few units in the last place; NaN passes through, infinities give their limits.
// To be included inside the anonymous namespace of a kernels file.

template <class T> struct Float;
template <> struct Float<float> {
    using Bits = uint32_t;
    static constexpr int mantissa = 23;
    static constexpr Bits bias = 127, one = 0x3f800000, sqrt_half = 0x3f3504f3, mask = 0x007fffff,
                          two_mantissa_bits = 0x4b000000;
    static constexpr float to_integer = 12582912.f;  // 1.5 * 2^23: adding it rounds to a whole number in the low bits
    static constexpr float two_mantissa = 8388608.f, tiny = 1.17549435e-38f;
    static constexpr float ln2_hi = 0.693359375f, ln2_lo = -2.12194440e-4f;
    static constexpr float exp_lo = -104.f, exp_hi = 89.f, expm1_lo = -20.f, tanh_hi = 10.f, mish_hi = 20.f;
    static constexpr int exp_terms = 7, log_terms = 6;
};
template <> struct Float<double> {
    using Bits = uint64_t;
    static constexpr int mantissa = 52;
    static constexpr Bits bias = 1023, one = 0x3ff0000000000000, sqrt_half = 0x3fe6a09e667f3bcd,
                          mask = 0x000fffffffffffff, two_mantissa_bits = 0x4330000000000000;
    static constexpr double to_integer = 6755399441055744.0;
    static constexpr double two_mantissa = 4503599627370496.0, tiny = 2.2250738585072014e-308;
    static constexpr double ln2_hi = 6.93147180369123816490e-01, ln2_lo = 1.90821492927058770002e-10;
    static constexpr double exp_lo = -746.0, exp_hi = 710.0, expm1_lo = -40.0, tanh_hi = 20.0, mish_hi = 40.0;
    static constexpr int exp_terms = 13, log_terms = 12;
};

template <class T> inline typename Float<T>::Bits bits_of(T x) {
    typename Float<T>::Bits bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

template <class T> inline T from_bits(typename Float<T>::Bits bits) {
    T x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Comparisons with NaN are false, so these keep a NaN that comes first.
template <class T> inline T at_most(T x, T high) { return x > high ? high : x; }
template <class T> inline T at_least(T x, T low) { return x < low ? low : x; }

// 2^k for a whole number k in the range of exponents.
template <class T> inline T power_of_two(T k) {
    return from_bits<T>((bits_of<T>(k + Float<T>::to_integer) + Float<T>::bias) << Float<T>::mantissa);
}

template <class T> inline T nearest(T x) { return (x + Float<T>::to_integer) - Float<T>::to_integer; }

template <int i> constexpr double inverse_factorial() { return inverse_factorial<i - 1>() / i; }
template <> constexpr double inverse_factorial<0>() { return 1.0; }

// 1/i! + r/(i+1)! + ... up to r^(last - i)/last!
template <int i, int last, class T> inline T exp_tail(T r) {
    if constexpr (i == last) return (T)inverse_factorial<i>();
    else return (T)inverse_factorial<i>() + r * exp_tail<i + 1, last>(r);
}

// exp(r) - 1 for |r| <= log(2) / 2.
template <class T> inline T expm1_near_0(T r) { return r + r * r * exp_tail<2, Float<T>::exp_terms>(r); }

// x = k log 2 + r
template <class T> inline T reduced(T x, T &k) {
    k = nearest(x * (T)1.4426950408889634);
    return (x - k * Float<T>::ln2_hi) - k * Float<T>::ln2_lo;
}

template <class T> inline T exp_(T x) {
    T k, r = reduced(at_least(at_most(x, Float<T>::exp_hi), Float<T>::exp_lo), k);
    T half = nearest(k * (T)0.5);  // 2^k in two factors, so that neither leaves the range
    return (1 + expm1_near_0(r)) * power_of_two(half) * power_of_two(k - half);
}

template <class T> inline T expm1_(T x) {
    T k, r = reduced(at_least(at_most(x, Float<T>::exp_hi), Float<T>::expm1_lo), k);
    T half = power_of_two(k - 1);
    return 2 * (half * expm1_near_0(r) + (half - (T)0.5));
}

// 1/i + z/(i+2) + ... up to z^(..)/last
template <int i, int last, class T> inline T log_tail(T z) {
    if constexpr (i >= last) return (T)(1.0 / i);
    else return (T)(1.0 / i) + z * log_tail<i + 2, last>(z);
}

// log(2^e f) = e log 2 + 2 artanh((f - 1) / (f + 1)), sqrt(1/2) <= f < sqrt(2)
template <class T> inline T log_(T x) {
    using F = Float<T>;
    T lift = x < F::tiny ? F::two_mantissa : (T)1;
    T e0 = x < F::tiny ? (T)-F::mantissa : (T)0;
    typename F::Bits bits = bits_of<T>(x * lift) + (F::one - F::sqrt_half);
    T e = (from_bits<T>((bits >> F::mantissa) | F::two_mantissa_bits) - F::two_mantissa) - (T)F::bias + e0;
    T f = from_bits<T>((bits & F::mask) + F::sqrt_half);
    T s = (f - 1) / (f + 1);
    T result = e * F::ln2_hi + (e * F::ln2_lo + 2 * s * log_tail<1, 2 * F::log_terms + 1>(s * s));
    result = x < (T)INFINITY ? result : x;
    result = x == 0 ? -(T)INFINITY : result;
    return x < 0 ? (T)NAN : result;
}

// log(1 + u) for 0 <= u <= 1: the rounding of 1 + u is put right to first order.
template <class T> inline T log1p_(T u) {
    T y = 1 + u;
    return log_(y) + (u - (y - 1)) / y;
}

template <class T> inline T sigmoid_(T t) { return 1 / (1 + exp_(-t)); }

template <class T> inline T tanh_(T t) {
    T e = expm1_(2 * at_least(at_most(t, Float<T>::tanh_hi), -Float<T>::tanh_hi));
    return e / (e + 2);
}

// exp(x^2) erfc(x) (1 + 2 x) for x >= 0 as a polynomial in u = (x - 3) / (x + 3): interpolated at Chebyshev's points,
// relative error 2.3e-8 and 3e-17.
constexpr double ERFC_10[] = {1.2530080805047994975, -0.13562100238506598829, -0.047563950494368812358,
    0.12964208014591555769, -0.11925401387463662478, 0.068335364374396259719, -0.023851892347902649051,
    0.0024259288129102009816, 0.0020253334614591918991, -0.00060125812347359297598, -0.00018242889077011683086};
constexpr double ERFC_22[] = {1.2530080582697296397, -0.13562110612458066688, -0.047562294353447065193,
    0.12964515870270348708, -0.11927366341549393897, 0.068308027345875364838, -0.023770514914899248836,
    0.0025293917871075680837, 0.0018886903184454163789, -0.00077983202731480144822, -0.00010515952561216177422,
    0.00012509809287280239513, 4.9482622997916771952e-6, -0.000020096426869541815872, -7.2780443966720480189e-7,
    3.4635525785808633174e-6, 3.4920430828377252181e-7, -6.0441248819344104226e-7, -1.3116132294448008097e-7,
    9.1423199313184734749e-8, 3.2825163006176680954e-8, -8.3612181608824274355e-9, -4.1528653889013443101e-9};

template <int i, int last, class T> inline T polynomial(const double *c, T u) {
    if constexpr (i == last) return (T)c[i];
    else return (T)c[i] + u * polynomial<i + 1, last>(c, u);
}
inline float erfc_part(float u) { return polynomial<0, 10>(ERFC_10, u); }
inline double erfc_part(double u) { return polynomial<0, 22>(ERFC_22, u); }

// Phi(t) and exp(-t^2 / 2)
template <class T> inline T normal_cdf(T t, T &bell) {
    T x = at_most((t < 0 ? -t : t) * (T)0.70710678118654752440, (T)27);
    bell = exp_((T)-0.5 * t * t);
    T tail = (T)0.5 * bell * erfc_part((x - 3) / (x + 3)) / (1 + 2 * x);
    return t < 0 ? tail : 1 - tail;
}
