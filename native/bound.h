// What the products of training steps cost alone: the bound that benchmarks/table.py measures every engine against. On
// the engine's own BLAS, with operands that stay in the cache; nothing of a training run comes here.
#pragma once
#include "network.h"

#include <chrono>

// The float32 products of one step over `rows` rows kept as (rows, width): forward, weight gradients, and input gradients
// from layer 2 on.
class StepProducts {
  public:
    StepProducts(const std::vector<size_t> &widths, size_t rows) : widths_(widths), rows_(rows) {
        for (size_t width : widths) z_.push_back(ones(width * rows)), d_.push_back(ones(width * rows));
        for (size_t i = 1; i < widths.size(); ++i) {
            W_.push_back(ones(widths[i - 1] * widths[i]));
            dW_.push_back(ones(widths[i - 1] * widths[i]));
        }
    }

    void step() {
        auto n = (int64_t)rows_;
        for (size_t i = 0; i + 1 < widths_.size(); ++i) {
            auto in = (int64_t)widths_[i], out = (int64_t)widths_[i + 1];
            multiply(z_[i + 1].get(), W_[i].get(), z_[i].get(), {false, false, out, n, in, out, in, out});
        }
        for (size_t i = widths_.size() - 1; i-- > 0;) {
            auto in = (int64_t)widths_[i], out = (int64_t)widths_[i + 1];
            multiply(dW_[i].get(), d_[i + 1].get(), z_[i].get(), {false, true, out, in, n, out, in, out});
            if (i) multiply(d_[i].get(), W_[i].get(), d_[i + 1].get(), {true, false, in, n, out, out, out, in});
        }
    }

  private:
    std::vector<size_t> widths_;
    size_t rows_;
    std::vector<Buffer<float>> z_, d_, W_, dW_;

    static Buffer<float> ones(size_t count) {
        Buffer<float> made = buffer<float>(count);
        std::fill_n(made.get(), count, 1.f);
        return made;
    }
};

// Seconds that the products of `steps` steps take: the batch halved over two workers who do not wait for one another,
// or else whole, in as many threads as the BLAS has just now.
inline double products_seconds(const std::vector<size_t> &widths, size_t batch, size_t steps, bool halved) {
    std::vector<std::unique_ptr<StepProducts>> parts;
    size_t workers = halved ? 2 : 1;
    for (size_t i = 0; i < workers; ++i)
        parts.push_back(std::make_unique<StepProducts>(widths, begin_of(i + 1, batch, workers) - begin_of(i, batch, workers)));
    auto work = [&](size_t i) {
        for (size_t step = 0; step < steps; ++step) parts[i]->step();
    };
    for (auto &part : parts) part->step();  // warms the caches, and the BLAS takes its buffers
    auto begun = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    for (size_t i = 1; i < workers; ++i) others.emplace_back(work, i);
    work(0);
    for (auto &other : others) other.join();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}
