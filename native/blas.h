// Products through a BLAS found at run time. Arguments go by reference in the Fortran manner and integers as 64 bits:
// the low half is what a library with 32-bit integers reads.
#pragma once
#include "kernels.h"

#include <cstdint>
#include <utility>

template <class T>
using Gemm = void (*)(const char *, const char *, const int64_t *, const int64_t *, const int64_t *, const T *,
                      const T *, const int64_t *, const T *, const int64_t *, const T *, T *, const int64_t *, size_t,
                      size_t);

// What was found in the process; null where nothing was.
struct Blas {
    Gemm<float> sgemm = nullptr;
    Gemm<double> dgemm = nullptr;
    void (*set_threads)(int) = nullptr;
    int (*get_threads)() = nullptr;
};

inline Blas &blas() {
    static Blas found;
    return found;
}

template <class T> Gemm<T> gemm_of(const Blas &found);
template <> inline Gemm<float> gemm_of(const Blas &found) { return found.sgemm; }
template <> inline Gemm<double> gemm_of(const Blas &found) { return found.dgemm; }

// C <- op(A) op(B), column-major; see Product
template <class T> void multiply(T *C, const T *A, const T *B, const Product &p) {
    Gemm<T> gemm = gemm_of<T>(blas());
    if (!gemm) return table_of<T>(kernels()).product(C, A, B, p);
    const T one = 1, beta = p.adds;
    gemm(p.trans_a ? "T" : "N", p.trans_b ? "T" : "N", &p.m, &p.n, &p.k, &one, A, &p.lda, B, &p.ldb, &beta, C, &p.ldc,
         1, 1);
}

// While one of these lives the BLAS computes in one thread: ours are the others, and its own would wait actively for
// work of a few microseconds. The setting is the process's, so the first to come keeps it and the last to go restores
// it. To be made and ended with the interpreter's lock held; in a child of fork `forget`, since whoever computed in the
// parent at that time does not end here.
class OneBlasThread {
  public:
    OneBlasThread() {
        if (!blas().set_threads) return;
        if (users()++ == 0) {
            before() = blas().get_threads();
            if (before() != 1) blas().set_threads(1);
        }
    }
    ~OneBlasThread() {
        if (!blas().set_threads) return;
        if (users() && --users() == 0 && before() != 1) blas().set_threads(before());
    }
    OneBlasThread(const OneBlasThread &) = delete;
    OneBlasThread &operator=(const OneBlasThread &) = delete;

    static void forget() {
        if (std::exchange(users(), 0) > 0) blas().set_threads(before());
    }

    // Threads that the process allows its BLAS, whoever holds them down just now; 0 where that is not known.
    static int allowed() {
        if (!blas().get_threads) return 0;
        return users() ? before() : blas().get_threads();
    }

  private:
    static int &users() {
        static int count = 0;
        return count;
    }
    static int &before() {
        static int threads = 1;
        return threads;
    }
};
