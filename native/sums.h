// Sums in a fixed order of additions, the same on every instruction set.
// To be included inside the anonymous namespace of a kernels file.

constexpr size_t LANES = 16;

template <class T> inline T folded(T *lanes) {
    for (size_t width = LANES / 2; width; width /= 2)
        for (size_t l = 0; l < width; ++l) lanes[l] += lanes[l + width];
    return lanes[0];
}

template <class T> T sum_of(const T *x, size_t n) {
    T lanes[LANES] = {};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; ++l) lanes[l] += x[i + l];
    for (size_t l = 0; i < n; ++i, ++l) lanes[l] += x[i];
    return folded(lanes);
}
