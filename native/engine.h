// The networks of one float type, as Python sees them: takes what arguments.h has checked, lets go of the interpreter's
// lock, calls the loops.
#pragma once
#include "arguments.h"

#include <cfenv>

constexpr size_t BLOCK = 1024;      // rows that are predicted at a time
constexpr size_t KEPT_ROWS = 1024;  // batches of more rows give their memory back

// Lets the handlers of signals run, which Python does on its main thread alone; an error that one raises stays set. It
// must not be thrown from here: helpers are still at work.
inline Answer ask_python() noexcept {
    nb::gil_scoped_acquire locked;
    try {
        nb::module_ threading = nb::module_::import_("threading");
        if (!threading.attr("current_thread")().is(threading.attr("main_thread")())) return Answer::never_ask_again;
    } catch (nb::python_error &raised) {  // by a handler that ran in one of these calls
        raised.restore();
        return Answer::stop;
    }
    return PyErr_CheckSignals() ? Answer::stop : Answer::go_on;
}

// While it lives the thread computes in the usual floating-point mode: with subnormals, which a caller may have switched
// off, as helpers do. Its own mode, and what is raised in it, is as before afterwards.
class UsualMode {
  public:
    UsualMode() { std::fegetenv(&before_), std::fesetenv(FE_DFL_ENV); }
    ~UsualMode() { std::fesetenv(&before_); }
    UsualMode(const UsualMode &) = delete;
    UsualMode &operator=(const UsualMode &) = delete;

  private:
    std::fenv_t before_;
};

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

    // Fills the number of steps taken; returns what a signal's handler raised where one ended them early.
    nb::object train(Out<T> w, Settings settings, In<double> rates, int64_t t, const std::vector<Out<T>> &slots, Any X,
                     std::optional<double> scale, const WantedTuple<T> &wanted, In<int64_t> order, size_t batch,
                     Out<double> losses, Out<int64_t> taken, uint64_t seed, std::optional<SparseTuple<T>> sparse,
                     const std::vector<Grid<T>> &tables, bool lazy, const std::optional<CompactTuple<T>> &compact,
                     std::optional<AroundTuple> around, std::optional<Out<T>> average,
                     std::optional<Out<double>> penalties, const PackedRows *packed, int threads) {
        Batch<T> b = batch_of(w.data(), w.size(), X, scale, &wanted);
        require(!packed || packed->are_of(X.shape(0), X.shape(1), X.itemsize()), "packed rows of other ones");
        b.packed = batch < PACKED_LEAST ? nullptr : packed;
        check_order(order, X.shape(0));
        check_labels(net_, b.wanted, X.shape(0), order.data(), order.size());
        require(batch > 0 && losses.size() == (order.size() + batch - 1) / batch, "one loss for each step");
        require(rates.size() == losses.size(), "one rate for each step");
        b.order = order.data();
        b.moving = w.data();
        b.seed = seed;
        Rule<T> rule = rule_of(net_, settings, rates, t, w, slots);
        size_t most = std::min(batch, order.size()), entries = 0;
        Sparse<T> rows = sparse_of(net_, sparse, X.shape(0), order.data(), order.size(), batch, entries, lazy);
        Weights<T> table = table_of_weights(rows, tables, slots.size());
        std::optional<Compact<T>> places;
        rows.compact = compact_of(places, compact, rows, table);
        require(!around || !sparse, "nothing stands around the steps on sparse rows");
        Around<T> extras = around_of(net_, around, average, losses.size(), penalties);
        if (sparse) b.sparse = &rows;
        require(taken.size() == 1, "one number for the steps taken");
        try {
            with_space(b, most, !!sparse, threads, [&](Workspace<T> &space, Pool &pool) {
                if (sparse) space.reserve(rows, most, entries);
                taken.data()[0] = (int64_t)::train(space, pool, b, rule, X.shape(0), order.size(), batch, losses.data(),
                                                   table, extras);
                return 0;
            });
        } catch (const nb::python_error &raised) {
            return nb::borrow(raised.value());
        }
        return nb::none();
    }

    // The rows packed, to be handed over in every call for as long as they stay as they are; or None, where it does not pay.
    nb::object pack(Any X, std::optional<double> scale, int threads) {
        Batch<T> b = batch_of(nullptr, net_.size, X, scale, nullptr);
        if (!may_pack<T>(net_)) return nb::none();
        auto packed = with_space(b, 1, true, threads, [&](Workspace<T> &space, Pool &pool) {
            return packed_rows(space, pool, b, X.shape(0));
        });
        return packed ? nb::cast(packed.release(), nb::rv_policy::take_ownership) : nb::none();
    }

    // With a step it is that of a training step, which moves running statistics in w. For sparse rows the gradient of the
    // first layer's weights goes into dW, where their columns occur.
    double gradient(In<T> w, Any X, std::optional<double> scale, const WantedTuple<T> &wanted, Out<T> into,
                    uint64_t seed, std::optional<uint64_t> step, std::optional<SparseTuple<T>> sparse,
                    std::optional<Grid<T>> dW, int threads) {
        Batch<T> b = batch_of(w.data(), w.size(), X, scale, &wanted);
        require(into.size() == net_.size, "the gradient is as long as the parameters");
        b.n = X.shape(0);
        b.seed = seed;
        if (step) b.moving = const_cast<T *>(w.data()), b.step = *step;
        check_labels(net_, b.wanted, b.n, nullptr, b.n);
        size_t count = piece_count(b.n, net_), entries = 0;
        Sparse<T> rows = sparse_of(net_, sparse, b.n, nullptr, b.n, b.n, entries);
        require(!sparse || (dW && dW->shape(0) == rows.d && dW->shape(1) == rows.n_out), "dW is shaped as W");
        if (sparse) b.sparse = &rows;
        return with_space(b, b.n, !!sparse, threads, [&](Workspace<T> &space, Pool &pool) {
            if (sparse) space.reserve(rows, b.n, entries);
            double value = loss_and_parts(space, pool, b, count);
            const T *sum = sum_parts(space, count, 0, net_.size, into.data());
            if (sum != into.data()) std::memcpy(into.data(), sum, net_.size * sizeof(T));
            const Columns<T> &columns = space.columns[0];  // all are in one part
            for (size_t k = 0; sparse && k < columns.count(); ++k)
                columns.gradient(dW->data() + columns.name(k) * rows.n_out, k, rows);
            return (double)(T)value;
        });
    }

    // Fills outputs (n, K); with targets also returns the mean loss.
    double outputs(In<T> w, Any X, std::optional<double> scale, const std::optional<WantedTuple<T>> &wanted,
                   Grid<T> into, std::optional<SparseTuple<T>> sparse, int threads) {
        Batch<T> b = batch_of(w.data(), w.size(), X, scale, wanted ? &*wanted : nullptr);
        b.n = X.shape(0);
        require(into.shape(0) == b.n && into.shape(1) == net_.K, "outputs are (n, K)");
        if (wanted) check_labels(net_, b.wanted, b.n, nullptr, b.n);
        size_t count = piece_count(b.n, net_), entries = 0;
        Sparse<T> rows = sparse_of(net_, sparse, b.n, nullptr, b.n, b.n, entries);
        if (sparse) b.sparse = &rows;
        return with_space(b, b.n, false, threads, [&](Workspace<T> &space, Pool &pool) {
            pool.run((uint32_t)count,
                     [&](uint32_t i) { outputs_of(space.pieces[i], b, i, count, into.data(), wanted.has_value()); });
            return (double)(T)mean_loss(space, b, count);
        });
    }

    // Fills outputs (n, K) block by block, in room for one block; returns false at the first rows that are not finite,
    // which are looked at while they are loaded.
    bool predict(In<T> w, Any X, std::optional<double> scale, Grid<T> into, int threads) {
        Batch<T> b = batch_of(w.data(), w.size(), X, scale, nullptr);
        size_t n = X.shape(0), K = net_.K, most = std::min(n, BLOCK);
        require(into.shape(0) == n && into.shape(1) == K, "outputs are (n, K)");
        return with_space(b, most, false, threads, [&](Workspace<T> &space, Pool &pool) {
            std::atomic<bool> finite{true};
            for (size_t start = 0; start < n && finite && !b.watch->stopped(); start += BLOCK) {
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
        Sparse<T> rows = sparse_of(net_, sparse, b.n, nullptr, b.n, b.n, entries);
        if (sparse) b.sparse = &rows;
        with_space(b, 1, false, 1, [&](Workspace<T> &space, Pool &) {
            Piece<T> &p = space.pieces[0];  // one for all rows
            p.reserve(net_, b.n);
            space.rows = std::max(space.rows, b.n);
            take_rows(p, 0, b.n, 1);
            load_rows(p, b);
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
        take_rows(p, i, b.n, count);
        if (b.watch->look()) return;
        load_rows(p, b);
        forward_loop(p, b);
        const T *P = head_forward(p, b);
        if (net_.members > 1) P = mean_of_members(p, P);
        table_of<T>(kernels()).transpose(into + p.from * net_.K, P, net_.K, p.n);
        p.loss = 0;
        if (!with_loss) return;
        load_wanted(p, b);
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
        return {net_, w, rows, wanted ? wanted_of(net_, *wanted, X.shape(0)) : Wanted<T>{}};
    }

    // Threads to use where there is work for several: as many as there are cores to compute on, and as asked for (not 0)
    // or else as the BLAS of this process may use.
    int threads_for(size_t count, int asked) const {
        int allowed = asked ? asked : OneBlasThread::allowed();
        int most = std::min(allowed ? std::min(threads_, allowed) : threads_, (int)Pool::TASKS);
        return count > 1 ? most : 1;
    }

    // Throws what a signal's handler raised meanwhile.
    template <class F> auto with_space(Batch<T> &b, size_t n, bool shared, int asked, F &&work) {
        size_t count = piece_count(n, net_) + shared;
        Calls::One call;
        Watch watch(&ask_python);
        b.watch = &watch;
        PoolLease lease(threads_for(count, asked), watch);
        OneBlasThread one;
        std::unique_ptr<Workspace<T>> space;
        if (idle_.empty()) space = std::make_unique<Workspace<T>>();
        else space = std::move(idle_.back()), idle_.pop_back();
        auto result = [&] {
            nb::gil_scoped_release unlocked;
            UsualMode mode;
            space->reserve(net_, n);
            return work(*space, lease.pool());
        }();
        if (space->rows <= KEPT_ROWS) idle_.push_back(std::move(space));
        if (watch.stopped()) throw nb::python_error();
        return result;
    }
};

// An argument that is filled or changed: what is no such array is refused, since a converted copy would be filled instead.
inline auto filled(const char *name) { return nb::arg(name).noconvert(); }
inline auto filled_or_none(const char *name) { return nb::arg(name).none().noconvert() = nb::none(); }

template <class T> void bind(nb::module_ &m, const char *name) {
    nb::class_<Engine<T>>(m, name)
        .def(nb::init<const std::vector<LayerTuple> &, int, int>(), "layers"_a, "head"_a, "threads"_a)
        .def("train", &Engine<T>::train, filled("w"), "settings"_a, "rates"_a, "t"_a, filled("slots"), "X"_a,
             "scale"_a.none(), "wanted"_a, "order"_a, "batch"_a, filled("losses"), filled("taken"), "seed"_a,
             "sparse"_a.none() = nb::none(), filled("tables") = std::vector<Grid<T>>(), "lazy"_a = false,
             filled_or_none("compact"), "around"_a.none() = nb::none(), filled_or_none("average"),
             filled_or_none("penalties"), "packed"_a.none() = nb::none(), "threads"_a = 0)
        .def("pack", &Engine<T>::pack, "X"_a, "scale"_a.none(), "threads"_a = 0)
        .def("gradient", &Engine<T>::gradient, "w"_a, "X"_a, "scale"_a.none(), "wanted"_a, filled("into"), "seed"_a,
             "step"_a.none(), "sparse"_a.none() = nb::none(), filled_or_none("dW"), "threads"_a = 0)
        .def("outputs", &Engine<T>::outputs, "w"_a, "X"_a, "scale"_a.none(), "wanted"_a.none(), filled("into"),
             "sparse"_a.none() = nb::none(), "threads"_a = 0)
        .def("predict", &Engine<T>::predict, "w"_a, "X"_a, "scale"_a.none(), filled("into"), "threads"_a = 0)
        .def("activations", &Engine<T>::activations, "w"_a, "X"_a, filled("into"), "sparse"_a.none() = nb::none());
}
