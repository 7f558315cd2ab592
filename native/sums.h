// Sums in a fixed order of additions, the same on every instruction set.
// To be included inside the anonymous namespace of a kernels file.

constexpr size_t LANES = 16;

template <class T> inline T folded(T *lanes) {
    for (size_t width = LANES / 2; width; width /= 2)
        for (size_t l = 0; l < width; ++l) lanes[l] += lanes[l + width];
    return lanes[0];
}

// The sum of term(0) .. term(n - 1)
template <class T, class Term> inline T sum_over(size_t n, Term term) {
    T lanes[LANES] = {};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; ++l) lanes[l] += term(i + l);
    for (size_t l = 0; i < n; ++i, ++l) lanes[l] += term(i);
    return folded(lanes);
}

template <class T> T sum_of(const T *x, size_t n) {
    return sum_over<T>(n, [=](size_t i) { return x[i]; });
}
