// Cosines and sines of arrays as straight lines of arithmetic: x = j pi/2 + r, and a polynomial in r. Where a number is
// too large for that reduction the C library's functions are called, which need not be fast.
// To be included inside the anonymous namespace of a kernels file, behind elementary.h.

template <class T> struct Wave;
template <> struct Wave<float> {
    // pi/2 in three parts, the first two short enough that j times them is exact
    static constexpr float part1 = 1.5703125f, part2 = 4.837512969970703125e-4f, part3 = 7.54978995489188216e-8f;
    static constexpr float most = 8192.f;
    static constexpr int last = 11;  // degree of the polynomials
};
template <> struct Wave<double> {
    static constexpr double part1 = 1.57079625129699707031, part2 = 7.54978941586159635335e-8,
                            part3 = 5.39030285815811905290e-15;
    static constexpr double most = 1048576.0;
    static constexpr int last = 19;
};

// 1/i! - s/(i+2)! + ... with s = r^2
template <int i, int last, class T> inline T alternating(T s) {
    if constexpr (i + 2 > last) return (T)inverse_factorial<i>();
    else return (T)inverse_factorial<i>() - s * alternating<i + 2, last>(s);
}

// sin(x + shift pi/2), |x| <= most
template <int shift, class T> inline T wave(T x) {
    using W = Wave<T>;
    T j = nearest(x * (T)0.63661977236758134308);
    T r = ((x - j * W::part1) - j * W::part2) - j * W::part3;
    T s = r * r;
    T sine = r * alternating<1, W::last>(s), cosine = alternating<0, W::last - 1>(s);
    T turn = j + shift;
    T quadrant = turn - 4 * nearest((turn - (T)1.5) * (T)0.25);
    T value = quadrant == 1 || quadrant == 3 ? cosine : sine;
    return quadrant >= 2 ? -value : value;
}

template <int shift, class T> void waves(T *x, size_t n, T (*exact)(T)) {
    T most = 0;
    for (size_t i = 0; i < n; ++i) {
        T size = x[i] < 0 ? -x[i] : x[i];
        most = size > most ? size : most;
    }
    if (most <= Wave<T>::most)
        for (size_t i = 0; i < n; ++i) x[i] = wave<shift>(x[i]);
    else
        for (size_t i = 0; i < n; ++i) x[i] = exact(x[i]);
}

inline float cos_exact(float x) { return cosf(x); }
inline double cos_exact(double x) { return cos(x); }
inline float sin_exact(float x) { return sinf(x); }
inline double sin_exact(double x) { return sin(x); }

template <class T> void cosines(T *x, size_t n) { waves<1, T>(x, n, &cos_exact); }
template <class T> void sines(T *x, size_t n) { waves<0, T>(x, n, &sin_exact); }
