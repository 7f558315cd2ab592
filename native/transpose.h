// Transposition in square blocks that fit into the registers: four to ten times as fast as entry by entry.
// To be included inside the anonymous namespace of kernels.cpp, behind vectors.h.

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define LAYERLOOP_SHUFFLES 1
#endif
#endif

#ifdef LAYERLOOP_SHUFFLES

template <int... l> struct Numbers {};
template <int n, int... l> struct CountTo : CountTo<n - 1, n - 1, l...> {};
template <int... l> struct CountTo<0, l...> {
    using type = Numbers<l...>;
};

// Of two rows h apart: the off-diagonal quarters of size h change places.
template <int h, class V, int... l> inline void exchange(V &a, V &b, Numbers<l...>) {
    constexpr int L = sizeof...(l);
    V low = __builtin_shufflevector(a, b, ((l & h) ? L + l - h : l)...);
    V high = __builtin_shufflevector(a, b, ((l & h) ? L + l : l + h)...);
    a = low, b = high;
}

template <int h, class T> inline void turn(typename Vector<T>::type *rows) {
    constexpr int L = lanes<T>;
    if constexpr (h > 0) {
#pragma GCC unroll 16
        for (int i = 0; i < L; ++i)
            if (!(i & h)) exchange<h>(rows[i], rows[i + h], typename CountTo<L>::type{});
        turn<h / 2, T>(rows);
    }
}

// What of one array a vector may touch: all of it where that stays inside, else `width` entries one by one.
template <class T> inline typename Vector<T>::type load(const T *at, const T *end, size_t width) {
    constexpr size_t L = lanes<T>;
    if ((size_t)(end - at) >= L) return *(const typename Vector<T>::stored *)at;
    T part[L] = {};
    for (size_t l = 0; l < width; ++l) part[l] = at[l];
    return *(const typename Vector<T>::stored *)part;
}

template <class T> inline void store(T *at, typename Vector<T>::type v, bool whole, size_t width) {
    if (whole) {
        *(typename Vector<T>::stored *)at = v;
        return;
    }
    T part[lanes<T>];
    *(typename Vector<T>::stored *)part = v;
    for (size_t l = 0; l < width; ++l) at[l] = part[l];
}

// The block at (i0, j0) of `in`. Where a row of `out` is shorter than a vector, the vector runs into the next row, which
// is written after it.
template <class T> void turn_block(T *out, const T *in, size_t rows, size_t cols, size_t i0, size_t j0) {
    constexpr size_t L = lanes<T>;
    const T *end = in + rows * cols;
    size_t r = rows - i0 < L ? rows - i0 : L, c = cols - j0 < L ? cols - j0 : L;
    typename Vector<T>::type block[L];
#pragma GCC unroll 16
    for (size_t i = 0; i < L; ++i)
        block[i] = i < r ? load(in + (i0 + i) * cols + j0, end, c) : typename Vector<T>::type{};
    turn<(int)L / 2, T>(block);
#pragma GCC unroll 16
    for (size_t j = 0; j < L; ++j) {
        if (j == c) break;
        size_t at = (j0 + j) * rows + i0;
        store(out + at, block[j], r == L || (rows < L && at + L <= rows * cols), r);
    }
}

// A block that lies inside both arrays.
template <class T> inline void turn_whole(T *out, const T *in, size_t rows, size_t cols) {
    using stored = typename Vector<T>::stored;
    constexpr size_t L = lanes<T>;
    typename Vector<T>::type block[L];
#pragma GCC unroll 16
    for (size_t i = 0; i < L; ++i) block[i] = *(const stored *)(in + i * cols);
    turn<(int)L / 2, T>(block);
#pragma GCC unroll 16
    for (size_t j = 0; j < L; ++j) *(stored *)(out + j * rows) = block[j];
}

template <class T> void transpose(T *__restrict out, const T *__restrict in, size_t rows, size_t cols) {
    constexpr size_t L = lanes<T>, B = 64 / sizeof(T) > L ? 64 / sizeof(T) : L;
    for (size_t i0 = 0; i0 < rows; i0 += B)
        for (size_t j0 = 0; j0 < cols; j0 += B) {
            if (i0 + B <= rows && j0 + B <= cols) {
                for (size_t i = i0; i < i0 + B; i += L)
                    for (size_t j = j0; j < j0 + B; j += L) turn_whole(out + j * rows + i, in + i * cols + j, rows, cols);
                continue;
            }
            for (size_t i = i0; i < i0 + B && i < rows; i += L)
                for (size_t j = j0; j < j0 + B && j < cols; j += L) turn_block(out, in, rows, cols, i, j);
        }
}

#else

template <class T> void transpose(T *__restrict out, const T *__restrict in, size_t rows, size_t cols) {
    constexpr size_t B = 16;  // tiles of 16 x 16 stay in the first-level cache both ways
    for (size_t i0 = 0; i0 < rows; i0 += B)
        for (size_t j0 = 0; j0 < cols; j0 += B)
            for (size_t j = j0; j < (j0 + B < cols ? j0 + B : cols); ++j)
                for (size_t i = i0; i < (i0 + B < rows ? i0 + B : rows); ++i) out[j * rows + i] = in[i * cols + j];
}

#endif
