// Vectors of the instruction set that a kernels file is compiled for; to be included inside its anonymous namespace.
#pragma once

#if !defined(__GNUC__)
constexpr int REGISTER = 0;  // bytes
#elif defined(__AVX512F__)
constexpr int REGISTER = 64;
#elif defined(__AVX__)
constexpr int REGISTER = 32;
#else
constexpr int REGISTER = 16;
#endif

// Entries of a register; 1 where there are no vectors.
template <class T> constexpr int lanes = REGISTER > (int)sizeof(T) ? REGISTER / (int)sizeof(T) : 1;

// N entries side by side: in registers, and in memory at any address. Copied through memcpy, a vector of 32 bytes goes
// over the stack in halves.
template <class T, int N = lanes<T>> struct Vector {
#if defined(__GNUC__)
    typedef T type __attribute__((vector_size(N * sizeof(T))));
    typedef T stored __attribute__((vector_size(N * sizeof(T)), aligned(sizeof(T)), may_alias));
#endif
};
template <class T> struct Vector<T, 1> {
    typedef T type;
    typedef T stored;
};
