// The door from Python: checks what could reach outside an array, lets go of the interpreter's lock, calls the loops.
#include "bound.h"
#include "training.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T> using In = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T> using Grid = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Any = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
// Sparse rows (starts, columns, values) and the weights that they meet
template <class T>
using SparseTuple = std::tuple<In<int64_t>, In<int32_t>, In<T>,
                               nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>>;
// kind, n_in, n_out, activation, keeps_t, size, own, skip, numbers, places, counts, rest; see Layer in network.h
using LayerTuple = std::tuple<int, size_t, size_t, int, bool, size_t, size_t, int64_t, std::vector<double>,
                              std::vector<int64_t>, std::vector<int64_t>, std::vector<int64_t>>;
constexpr int KINDS = 11;
// loss, smoothing, columns, targets, weights; see Wanted in network.h
template <class T> using WantedTuple = std::tuple<int, double, In<T>, Any, std::optional<In<T>>>;
// clip_value, clip_norm, l2, parts (start, stop, rate, decay), and for each step decay and share; see around.h
using PartTuple = std::tuple<size_t, size_t, double, double>;
using AroundTuple = std::tuple<double, double, double, std::vector<PartTuple>, In<double>, In<double>>;
// kind, first, second, epsilon, decay, momentum_decay, product; see Rule in training.h
using Settings = std::tuple<int, double, double, double, double, double, double>;

constexpr size_t BLOCK = 1024;      // rows that are predicted at a time
constexpr size_t KEPT_ROWS = 1024;  // batches of more rows give their memory back

void require(bool holds, const char *what) {
    if (!holds) throw std::invalid_argument(what);
}

// The networks of one float type.
template <class T> class Engine {
  public:
    Engine(const std::vector<LayerTuple> &layers, int head, int threads) : threads_(threads) {
        size_t at = 0;
        for (const auto &[kind, n_in, n_out, activation, keeps_t, size, own, skip, numbers, places, counts, rest] :
             layers) {
            require(kind >= 0 && kind < KINDS, "unknown kind of layer");
            require(activation >= 0 && activation < ACTIVATION_COUNT, "unknown activation");
            std::vector<float> rounded(numbers.begin(), numbers.end());
            net_.layers.push_back({(Kind)kind, n_in, n_out, activation, keeps_t, at, size, own, skip, numbers, rounded,
                                   places, counts, rest});
            add_to_net(net_.layers.back());
            at += size;
        }
        require(!layers.empty() && head >= 0 && head < HEAD_COUNT, "an engine needs layers and a head");
        net_.head = (Head)head;
        net_.n_in = net_.layers.front().n_in;
        net_.k = net_.layers.back().n_out;
        net_.K = net_.k + (net_.head == Head::modified_softmax);
        net_.size = at;
    }
    Engine(const Engine &) = delete;
    Engine &operator=(const Engine &) = delete;

    size_t train(Out<T> w, Settings settings, In<double> rates, int64_t t, const std::vector<Out<T>> &slots, Any X,
                 std::optional<double> scale, const WantedTuple<T> &wanted, In<int64_t> order, size_t batch,
                 Out<double> losses, uint64_t seed, std::optional<SparseTuple<T>> sparse,
                 const std::vector<Grid<T>> &tables, bool lazy, std::optional<AroundTuple> around,
                 std::optional<Out<T>> average, std::optional<Out<double>> penalties) {
        Batch<T> b = batch_of(w.data(), w.size(), X, scale, &wanted);
        check_order(order, X.shape(0));
        check_labels(b.wanted, X.shape(0), order.data(), order.size());
        require(batch > 0 && losses.size() == (order.size() + batch - 1) / batch, "one loss for each step");
        require(rates.size() == losses.size(), "one rate for each step");
        b.order = order.data();
        b.moving = w.data();
        b.seed = seed;
        Rule<T> rule = rule_of(settings, rates, t, w, slots);
        size_t most = std::min(batch, order.size()), entries = 0;
        Sparse<T> rows = sparse_of(sparse, X.shape(0), order.data(), order.size(), batch, entries);
        Weights<T> table = table_of_weights(rows, tables, slots.size(), lazy);
        require(!around || !sparse, "nothing stands around the steps on sparse rows");
        Around<T> extras = around_of(around, average, losses.size(), penalties);
        if (sparse) b.sparse = &rows;
        return with_space(most, !!sparse, [&](Workspace<T> &space, Pool &pool) {
            if (sparse) space.reserve(rows, most, entries);
            return ::train(space, pool, b, rule, order.size(), batch, losses.data(), table, extras);
        });
    }

    // With a step it is that of a training step, which moves running statistics in w. For sparse rows the gradient of the
    // first layer's weights goes into dW, where their columns occur.
    double gradient(In<T> w, Any X, std::optional<double> scale, const WantedTuple<T> &wanted, Out<T> into,
                    uint64_t seed, std::optional<uint64_t> step, std::optional<SparseTuple<T>> sparse,
                    std::optional<Grid<T>> dW) {
        Batch<T> b = batch_of(w.data(), w.size(), X, scale, &wanted);
        require(into.size() == net_.size, "the gradient is as long as the parameters");
        b.n = X.shape(0);
        b.seed = seed;
        if (step) b.moving = const_cast<T *>(w.data()), b.step = *step;
        check_labels(b.wanted, b.n, nullptr, b.n);
        size_t count = piece_count(b.n, net_), entries = 0;
        Sparse<T> rows = sparse_of(sparse, b.n, nullptr, b.n, b.n, entries);
        require(!sparse || (dW && dW->shape(0) == rows.d && dW->shape(1) == rows.n_out), "dW is shaped as W");
        if (sparse) b.sparse = &rows;
        return with_space(b.n, !!sparse, [&](Workspace<T> &space, Pool &pool) {
            if (sparse) space.reserve(rows, b.n, entries);
            double value = loss_and_parts(space, pool, b, count);
            const T *sum = sum_parts(space, count, 0, net_.size, into.data());
            if (sum != into.data()) std::memcpy(into.data(), sum, net_.size * sizeof(T));
            for (size_t k = 0; sparse && k < space.columns.count(); ++k)
                space.columns.gradient(dW->data() + space.columns.name(k) * rows.n_out, k, rows);
            return (double)(T)value;
        });
    }

    // Fills outputs (n, K); with targets also returns the mean loss.
    double outputs(In<T> w, Any X, std::optional<double> scale, const std::optional<WantedTuple<T>> &wanted,
                   Grid<T> into, std::optional<SparseTuple<T>> sparse) {
        Batch<T> b = batch_of(w.data(), w.size(), X, scale, wanted ? &*wanted : nullptr);
        b.n = X.shape(0);
        require(into.shape(0) == b.n && into.shape(1) == net_.K, "outputs are (n, K)");
        if (wanted) check_labels(b.wanted, b.n, nullptr, b.n);
        size_t count = piece_count(b.n, net_), entries = 0;
        Sparse<T> rows = sparse_of(sparse, b.n, nullptr, b.n, b.n, entries);
        if (sparse) b.sparse = &rows;
        return with_space(b.n, false, [&](Workspace<T> &space, Pool &pool) {
            pool.run((uint32_t)count,
                     [&](uint32_t i) { outputs_of(space.pieces[i], b, i, count, into.data(), wanted.has_value()); });
            double sum = 0;
            for (size_t i = 0; i < count; ++i) sum += space.pieces[i].loss;
            return (double)(T)(sum / entries_of(b));
        });
    }

    // Fills outputs (n, K) block by block, in room for one block; returns false at the first rows that are not finite,
    // which are looked at while they are loaded.
    bool predict(In<T> w, Any X, std::optional<double> scale, Grid<T> into) {
        Batch<T> b = batch_of(w.data(), w.size(), X, scale, nullptr);
        size_t n = X.shape(0), K = net_.K, most = std::min(n, BLOCK);
        require(into.shape(0) == n && into.shape(1) == K, "outputs are (n, K)");
        return with_space(most, false, [&](Workspace<T> &space, Pool &pool) {
            std::atomic<bool> finite{true};
            for (size_t start = 0; start < n && finite; start += BLOCK) {
                b.n = std::min(BLOCK, n - start);
                space.reserve(net_, b.n);
                size_t count = piece_count(b.n, net_);
                T *block = into.data() + start * K;
                pool.run((uint32_t)count, [&](uint32_t i) {
                    if (!scale && !rows_are_finite(b, i, count)) finite = false;
                    else outputs_of(space.pieces[i], b, i, count, block, false);
                });
                if (scale) b.rows.bytes += BLOCK * net_.n_in;
                else b.rows.floats += BLOCK * net_.n_in;
            }
            return finite.load();
        });
    }

    // Fills one array (rows, n_out) for each operation, rows those of the members one after another.
    void activations(In<T> w, Any X, const std::vector<Grid<T>> &into, std::optional<SparseTuple<T>> sparse) {
        Batch<T> b = batch_of(w.data(), w.size(), X, std::nullopt, nullptr);
        b.n = X.shape(0);
        require(into.size() == net_.layers.size(), "one array for each layer");
        for (size_t i = 0; i < into.size(); ++i)
            require(into[i].shape(0) == b.n * net_.layers[i].times && into[i].shape(1) == net_.layers[i].n_out,
                    "outputs are (rows, n_out)");
        size_t entries = 0;
        Sparse<T> rows = sparse_of(sparse, b.n, nullptr, b.n, b.n, entries);
        if (sparse) b.sparse = &rows;
        with_space(b.n, false, [&](Workspace<T> &space, Pool &) {
            Piece<T> &p = space.pieces[0];
            p.reserve(net_, b.n);
            p.n = b.n;
            load_rows(p, b, 0);
            forward_loop(p, b);
            for (size_t i = 0; i < into.size(); ++i)
                table_of<T>(kernels()).transpose(into[i].data(), p.node[i + 1], net_.layers[i].n_out,
                                                 p.n * net_.layers[i].times);
            return 0;
        });
    }

  private:
    // Keeps count of members, and of what is not trained.
    void add_to_net(Layer &layer) {
        if (layer.kind == Kind::members) net_.members = layer.own;
        if (layer.kind == Kind::batch_norm) {
            net_.one_piece = true;
            net_.moved.emplace_back(layer.at + 2 * layer.n_out, layer.at + 4 * layer.n_out);
        }
        net_.input_again = net_.input_again || layer.skip == 0;
        layer.times = net_.members;
        if (layer.kind == Kind::members) layer.own = 1;
        for (int64_t place : layer.places)
            require(place >= 0 && (size_t)place < layer.n_in, "a column lies outside the input");
        for (int64_t place : layer.rest)
            require(place >= 0 && (size_t)place < layer.n_in, "a column lies outside the input");
        require(layer.skip < (int64_t)net_.layers.size(), "a way around begins behind its end");
    }

    Net net_;
    int threads_;
    std::vector<std::unique_ptr<Workspace<T>>> idle_;  // touched with the interpreter's lock held

    void outputs_of(Piece<T> &p, const Batch<T> &b, size_t i, size_t count, T *into, bool with_loss) {
        size_t from = begin_of(i, b.n, count);
        p.n = begin_of(i + 1, b.n, count) - from;
        load_rows(p, b, from);
        forward_loop(p, b);
        const T *P = head_forward(p, b);
        if (net_.members > 1) P = mean_of_members(p, P);
        table_of<T>(kernels()).transpose(into + from * net_.K, P, net_.K, p.n);
        p.loss = 0;
        if (!with_loss) return;
        load_wanted(p, b, from);
        p.loss = loss_of(p, b);
    }

    bool rows_are_finite(const Batch<T> &b, size_t i, size_t count) const {
        size_t from = begin_of(i, b.n, count), to = begin_of(i + 1, b.n, count);
        return table_of<T>(kernels()).finite(b.rows.floats + from * net_.n_in, (to - from) * net_.n_in);
    }

    // Q (K, n) <- the means of P (K, members, n)
    const T *mean_of_members(Piece<T> &p, const T *P) const {
        layers_of<T>(kernels()).repeat_back(p.Q, P, {net_.K, p.n, net_.members});
        layers_of<T>(kernels()).shrink(p.Q, (T)1 / (T)net_.members, net_.K * p.n);
        return p.Q;
    }

    Batch<T> batch_of(const T *w, size_t size, const Any &X, std::optional<double> scale,
                      const WantedTuple<T> *wanted) const {
        require(size == net_.size, "parameters of another length than the network's");
        require(X.ndim() == 2 && X.shape(1) == net_.n_in, "rows of another width than the network's");
        require(X.dtype() == (scale ? nb::dtype<uint8_t>() : nb::dtype<T>()), "rows of another type");
        Rows<T> rows{};
        if (scale) rows.bytes = (const uint8_t *)X.data(), rows.scale = (T)*scale;
        else rows.floats = (const T *)X.data();
        return {net_, w, rows, wanted ? wanted_of(*wanted, X.shape(0)) : Wanted<T>{}};
    }

    // Checks the entries of `count` rows; `most` becomes the largest number of them in a batch.
    Sparse<T> sparse_of(const std::optional<SparseTuple<T>> &given, size_t n, const int64_t *order, size_t count,
                        size_t batch, size_t &most) const {
        if (!given) return {};
        const auto &[starts, columns, values, W] = *given;
        require(starts.size() == n + 1 && columns.size() == values.size(), "sparse rows of another length");
        require(W.shape(1) == net_.layers.front().n_out && !net_.n_in, "weights of another width");
        for (size_t i = 0, entries = 0; i < count; ++i) {
            size_t row = order ? (size_t)order[i] : i;
            int64_t from = starts.data()[row], to = starts.data()[row + 1];
            require(0 <= from && from <= to && (uint64_t)to <= columns.size(), "a row of sparse data lies outside them");
            for (int64_t e = from; e < to; ++e)
                if ((uint32_t)columns.data()[e] >= W.shape(0)) throw nb::index_error("a column lies outside the rows");
            entries = (i % batch ? entries : 0) + (size_t)(to - from);
            most = std::max(most, entries);
        }
        return {starts.data(), columns.data(), values.data(), W.shape(0), W.shape(1), W.data(), nullptr};
    }

    static Weights<T> table_of_weights(const Sparse<T> &rows, const std::vector<Grid<T>> &tables, size_t slots,
                                       bool lazy) {
        if (!rows.starts) return {};
        require(tables.size() == slots + 1, "the first layer's weights and one table for each slot");
        for (const auto &t : tables) require(t.shape(0) == rows.d && t.shape(1) == rows.n_out, "tables shaped as W");
        return {tables[0].data(), slots > 0 ? tables[1].data() : nullptr, slots > 1 ? tables[2].data() : nullptr, lazy};
    }

    Wanted<T> wanted_of(const WantedTuple<T> &given, size_t n) const {
        const auto &[loss, smoothing, columns, y, weights] = given;
        require(loss >= 0 && loss < LOSS_COUNT && columns.size() == net_.K, "unknown loss, or not a number for each output");
        require(!weights || weights->size() == n, "as many weights as rows");
        require(y.ndim() > 0 && y.shape(0) == n, "as many targets as rows");
        Wanted<T> found{(Loss)loss, (T)smoothing, columns.data(), nullptr, nullptr, weights ? weights->data() : nullptr};
        if (y.ndim() == 1 && !is_by_entry(found.loss)) {
            require(y.dtype() == nb::dtype<int64_t>(), "class indices are int64");
            found.index = (const int64_t *)y.data();
            return found;
        }
        require(y.ndim() == 2 && y.shape(1) == net_.K && y.dtype() == nb::dtype<T>(), "target rows are (n, K)");
        found.rows = (const T *)y.data();
        return found;
    }

    static void check_order(const In<int64_t> &order, size_t n) {
        for (size_t i = 0; i < order.size(); ++i)
            if ((uint64_t)order.data()[i] >= n) throw nb::index_error("a row number lies outside the data");
    }

    void check_labels(const Wanted<T> &wanted, size_t n, const int64_t *order, size_t count) const {
        if (!wanted.index) return;
        for (size_t i = 0; i < count; ++i) {
            size_t row = order ? (size_t)order[i] : i;
            if (row >= n || (uint64_t)wanted.index[row] >= net_.K)
                throw nb::index_error("a class index lies outside the outputs");
        }
    }

    Rule<T> rule_of(const Settings &settings, const In<double> &rates, int64_t t, Out<T> &w,
                    const std::vector<Out<T>> &slots) const {
        auto [kind, first, second, epsilon, decay, momentum_decay, product] = settings;
        size_t needed = kind == descent_rule ? 0 : kind < adam_rule ? 1 : 2;
        require(kind >= 0 && kind < RULE_COUNT && slots.size() == needed, "a state of another rule");
        for (const auto &slot : slots) require(slot.size() == net_.size, "a state of another length");
        T *u = needed > 0 ? slots[0].data() : nullptr, *v = needed > 1 ? slots[1].data() : nullptr;
        return {kind, first, second, epsilon, decay, momentum_decay, product, rates.data(), w.data(), u, v, t};
    }

    Around<T> around_of(const std::optional<AroundTuple> &given, std::optional<Out<T>> &average, size_t steps,
                        std::optional<Out<double>> &penalties) const {
        Around<T> a;
        require(!penalties || (given && penalties->size() == steps), "one penalty for each step with a decay around it");
        if (!given) return a;
        const auto &[clip_value, clip_norm, l2, parts, decays, shares] = *given;
        require(decays.size() == steps && shares.size() == steps, "one decay and one share for each step");
        require(!average || average->size() == net_.size, "an average of another length");
        a.used = true, a.clip_value = clip_value, a.clip_norm = clip_norm, a.l2 = l2;
        for (auto [start, stop, rate, decay] : parts) {
            require(start <= stop && stop <= net_.size, "a part lies outside the parameters");
            a.parts.push_back({start, stop, rate, decay, {}, 1});
        }
        a.decays = decays.data(), a.shares = shares.data(), a.average = average ? average->data() : nullptr;
        for (size_t i = 0; i < steps; ++i) require(average || shares.data()[i] == 0, "a share of no average");
        if (penalties) a.penalties = penalties->data();
        if (a.bounds_norm()) a.gradient = buffer<T>(net_.size);
        if (a.bounds_norm() || a.penalties) a.squares = buffer<double>(net_.size / UPDATE_BLOCK + 1);
        return a;
    }

    // Threads to use: as many as asked for, as the BLAS of this process may use, and as there are pieces of work.
    int threads_for(size_t count) const {
        int allowed = OneBlasThread::allowed();
        int most = allowed ? std::min(threads_, allowed) : threads_;
        return count > 1 ? most : 1;
    }

    template <class F> auto with_space(size_t n, bool shared, F &&work) {
        size_t count = piece_count(n, net_) + shared;
        PoolLease lease(threads_for(count));
        OneBlasThread one;
        std::unique_ptr<Workspace<T>> space;
        if (idle_.empty()) space = std::make_unique<Workspace<T>>();
        else space = std::move(idle_.back()), idle_.pop_back();
        auto result = [&] {
            nb::gil_scoped_release unlocked;
            space->reserve(net_, n);
            return work(*space, lease.pool());
        }();
        if (space->rows <= KEPT_ROWS) idle_.push_back(std::move(space));
        return result;
    }
};

template <class T> void bind(nb::module_ &m, const char *name) {
    nb::class_<Engine<T>>(m, name)
        .def(nb::init<const std::vector<LayerTuple> &, int, int>(), "layers"_a, "head"_a, "threads"_a)
        .def("train", &Engine<T>::train, "w"_a, "settings"_a, "rates"_a, "t"_a, "slots"_a, "X"_a, "scale"_a.none(),
             "wanted"_a, "order"_a, "batch"_a, "losses"_a, "seed"_a, "sparse"_a.none() = nb::none(),
             "tables"_a = std::vector<Grid<T>>(), "lazy"_a = false,
             "around"_a.none() = nb::none(), "average"_a.none() = nb::none(), "penalties"_a.none() = nb::none())
        .def("gradient", &Engine<T>::gradient, "w"_a, "X"_a, "scale"_a.none(), "wanted"_a, "into"_a, "seed"_a,
             "step"_a.none(), "sparse"_a.none() = nb::none(), "dW"_a.none() = nb::none())
        .def("outputs", &Engine<T>::outputs, "w"_a, "X"_a, "scale"_a.none(), "wanted"_a.none(), "into"_a,
             "sparse"_a.none() = nb::none())
        .def("predict", &Engine<T>::predict, "w"_a, "X"_a, "scale"_a.none(), "into"_a)
        .def("activations", &Engine<T>::activations, "w"_a, "X"_a, "into"_a, "sparse"_a.none() = nb::none());
}

// Multiplies two small matrices through what was found: the answer is known.
template <class T> bool product_is_right() {
    const T A[] = {1, 2, 3, 4, 5, 6}, B[] = {7, 8, 9, 10, 11, 12};
    T C[4] = {};
    multiply(C, A, B, {false, false, 2, 2, 3, 2, 3, 2});  // columns (1,2) (3,4) (5,6) by (7,8,9) (10,11,12)
    return C[0] == 76 && C[1] == 100 && C[2] == 103 && C[3] == 136;
}

bool use_blas(size_t sgemm, size_t dgemm, size_t set_threads, size_t get_threads) {
    blas() = {(Gemm<float>)sgemm, (Gemm<double>)dgemm, (void (*)(int))set_threads, (int (*)())get_threads};
    if (!set_threads || !get_threads) blas().set_threads = nullptr, blas().get_threads = nullptr;
    if (product_is_right<float>() && product_is_right<double>()) return true;
    blas() = {};
    return false;
}

// For benchmarks: seconds of the products of so many steps, the BLAS in so many threads or the batch in two halves.
double products_bound(const std::vector<size_t> &widths, size_t batch, size_t steps, int blas_threads, bool halved) {
    require(widths.size() > 1 && batch > 1 && blas_threads > 0, "two widths and two rows at least");
    OneBlasThread one;
    if (blas().set_threads && blas_threads > 1) blas().set_threads(blas_threads);
    double seconds = [&] {
        nb::gil_scoped_release unlocked;
        return products_seconds(widths, batch, steps, halved);
    }();
    if (blas().set_threads && blas_threads > 1) blas().set_threads(1);
    return seconds;
}

}  // namespace

NB_MODULE(_native, m) {
    nb::set_leak_warnings(false); // a network that lives until the interpreter ends is no leak
    bind<float>(m, "Engine32");
    bind<double>(m, "Engine64");
    m.def("select_isa", [](const std::string &name) { return select_isa(name.c_str()); }, "name"_a);
    m.def("isa", [] { return std::string(kernels().isa); });
    m.def("use_blas", &use_blas, "sgemm"_a, "dgemm"_a, "set_threads"_a, "get_threads"_a);
    m.def("products_bound", &products_bound, "widths"_a, "batch"_a, "steps"_a, "blas_threads"_a, "halved"_a);
}
