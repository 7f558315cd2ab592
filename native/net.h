// A network and a batch as the loops take them, and what follows from their sizes alone: which products go by tiles, into
// how many pieces a batch is cut.
#pragma once
#include "kernels.h"
#include "packed.h"
#include "sparse.h"
#include "watch.h"

#include <algorithm>
#include <utility>
#include <vector>

// In the order of engine/program.py; `join` is the end of a residual.
enum class Kind {
    dense, join, scale, parametric, dropout, batch_norm, layer_norm, members, embedding, periodic, piecewise_linear
};

// One operation of the program. What the fields mean to a kind, engine/program.py says where it fills them.
struct Layer {
    Kind kind;
    size_t n_in, n_out;
    int activation;
    bool keeps_t;
    size_t at, size;   // where its parameters begin in the flat vector, and how many they are
    size_t own;        // members that have parameters of their own; 1 where all share them
    int64_t skip;      // the node that a join adds, counted from the input as 0; -1 in other kinds
    std::vector<double> numbers;
    std::vector<float> numbers32;
    std::vector<int64_t> places, counts, rest;
    size_t times = 1;  // rows of a sample behind it: the members so far

    // Whether the rows of a data set can go into it as they lie there.
    bool takes_rows() const { return kind == Kind::dense && own == 1; }
    size_t bins() const {
        size_t sum = 0;
        for (int64_t count : counts) sum += (size_t)count;
        return sum;
    }
    // Numbers that each column becomes, where that is the same for all.
    size_t width() const { return (n_out - rest.size()) / std::max(places.size(), (size_t)1); }
};

template <class T> const std::vector<T> &numbers_of(const Layer &layer);
template <> inline const std::vector<float> &numbers_of(const Layer &layer) { return layer.numbers32; }
template <> inline const std::vector<double> &numbers_of(const Layer &layer) { return layer.numbers; }

struct Net {
    std::vector<Layer> layers;
    Head head;
    size_t n_in, k, K, size;
    size_t members = 1;
    bool one_piece = false;  // batch normalisation: the statistics are those of the whole batch
    std::vector<std::pair<size_t, size_t>> moved;  // where running statistics begin and end: not trained

    bool input_again = false;  // a way around begins at the input

    // Whether the first layer computes on rows as they lie in a data set.
    bool takes_rows() const { return layers.front().takes_rows() && !input_again; }
};

// Rows of a data set: floats, or bytes with a scale.
template <class T> struct Rows {
    const T *floats;
    const uint8_t *bytes;
    T scale;

    size_t size() const { return bytes ? 1 : sizeof(T); }  // of an entry
    const T *unit() const { return bytes ? &scale : nullptr; }  // of bytes
};

// What the loss of a data set is to know beside the outputs: targets, class indices or rows (K each), of which a share
// is spread over all classes; weights of the rows or null; a number for each output (K).
template <class T> struct Wanted {
    Loss loss;
    T smoothing;
    const T *columns;
    const int64_t *index;
    const T *rows, *weights;

    // Whether the kernels get class indices: spread ones are rows.
    bool by_index() const { return index && smoothing == 0; }
};

// A layer whose weights' gradient is taken for the whole batch: what went into the layer (n, n_in), and in the panels that
// products by tiles take, the slopes in its pre-activations (n, n_out) and a copy of its weights. Null where the pieces
// take that gradient themselves; by_rows.h.
template <class T> struct Sides {
    T *z = nullptr, *d = nullptr, *W = nullptr;
};

// One batch: the n rows that `order` names from `rows`, or the first n where it is null.
template <class T> struct Batch {
    const Net &net;
    const T *w;
    Rows<T> rows;
    Wanted<T> wanted;
    const int64_t *order = nullptr;
    size_t n = 0;
    const int64_t *next = nullptr;  // rows of the next batch, to be fetched from memory early; null where unknown
    const PackedRows *packed = nullptr;  // the same rows, where they are mostly zeros and stay as they are; or null
    const Sparse<T> *sparse = nullptr;  // instead of rows: then the first layer of the network has no inputs
    T *moving = nullptr;  // w where a training step may move running statistics; null in prediction
    uint64_t seed = 0, step = 0;  // what the masks of a training step come from
    Watch *watch = nullptr;  // of the call that computes it
    const Sides<T> *sides = nullptr;  // of each layer; null where the pieces take all gradients themselves
};

// Whether the products of this layer go by tiles: where the instruction set has registers for them, up to widths from
// which on a BLAS is as fast. Very many rows take so long that a look in between is due, which the BLAS's products have.
inline bool tiled(const Layer &layer, size_t n) {
    return kernels().tiles->f32.multiply && n <= 4096 && layer.n_out <= 512 && layer.n_in <= 1024;
}

// With so few rows tiles along them would leave most lanes empty.
inline bool is_few(size_t n) { return n < 8; }

template <class T> size_t panel_columns() { return tiles_of<T>(kernels()).columns; }
template <class T> size_t whole_panels(size_t width) {
    return (width + panel_columns<T>() - 1) / panel_columns<T>() * panel_columns<T>();
}

// Whether in training the gradient of this layer's weights is taken by rows of W for a whole batch: where half of W is
// longer than what goes around between threads instead, of as many samples, half the inputs and all slopes; by_rows.h.
// All products of such a layer go by tiles. Between the widths of `tiled` and weights as LONG as this there is no gain.
inline bool goes_by_rows(const Layer &layer, size_t n) {
    constexpr uint64_t LONG = 1 << 19;           // entries
    constexpr uint64_t MOST = (uint64_t)1 << 32;  // multiply-adds until the next look at the watch
    uint64_t in = layer.n_in, out = layer.n_out;
    bool dense = layer.kind == Kind::dense && layer.times == 1;
    bool far = kernels().tiles->f32.multiply && in * out >= LONG && n * in * out <= MOST;
    return dense && !is_few(n) && (far || tiled(layer, n)) && 2 * in * out > n * (in + 2 * out);
}

// A batch is cut into pieces by its size and the network's alone, never by the number of threads: sums over pieces are
// taken in their order, and so the bits do not depend on how many threads there are.
inline size_t piece_count(size_t n, const Net &net) {
    if (net.one_piece) return 1;
    size_t size = net.size * net.members, summed = size;
    for (const Layer &layer : net.layers) summed -= goes_by_rows(layer, n) ? layer.n_in * layer.n_out : 0;
    constexpr size_t WORTH = 350000;  // multiply-adds that take longer than handing them to another thread
    size_t least = summed > 100000 ? 128 : 64;  // rows: with fewer, adding up long gradients costs more than it saves
    if (!net.n_in) size += 128 * net.layers.front().n_out;  // sparse rows: entries whose weights come from far away
    size_t count = std::min({(n + least / 2) / least, n * size / WORTH, (size_t)8});
    return std::max(count, (size_t)1);
}

inline size_t widest(const Net &net) {
    size_t width = 0;
    for (const Layer &layer : net.layers) width = std::max(width, layer.n_out);
    return width;
}

// What a layer keeps from its forward to its backward pass, in numbers; layers.h lays it out.
inline size_t aux_count(const Layer &layer, size_t rows) {
    switch (layer.kind) {
    case Kind::parametric: return 2 * layer.n_out * rows;
    case Kind::batch_norm: return layer.n_out * (rows + 3);
    case Kind::layer_norm: return (layer.n_out + 3) * rows;
    case Kind::periodic: return (layer.places.size() * (size_t)layer.counts[0] + 1) * rows;
    case Kind::piecewise_linear: return layer.size ? 2 * layer.bins() * rows : 0;
    default: return 0;
    }
}

// Columns from which it pays to look for zeros in the rows that the first layer takes; zeros.h.
template <class T> bool may_pack(const Net &net) { return net.takes_rows() && net.n_in >= 64; }
inline size_t most_entries(size_t rows, size_t d) { return rows * d * 3 / 8; }  // with more, full products are as fast
inline size_t entry_room(size_t rows, size_t d) { return most_entries(rows, d) + d + ENTRY_ROOM; }
