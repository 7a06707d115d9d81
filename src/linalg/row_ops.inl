// The loops of row_ops.h; see versions.inl.

/// Calls step(j, n) for every vector of a row: n lanes from j on, n = kLanes but for the last one.
template <class Step>
WEFT_INLINE void over_vectors(std::int64_t cols, Step step) {
  std::int64_t j = 0;
  for (; j + kLanes <= cols; j += kLanes) step(j, std::int64_t{kLanes});
  if (j < cols) step(j, cols - j);
}

WEFT_INLINE Vec take(const float* p, std::int64_t n) { return n == kLanes ? load(p) : load_part(p, n); }
WEFT_INLINE void put(float* p, Vec v, std::int64_t n) { n == kLanes ? store(p, v) : store_part(p, v, n); }

/// The row that is normalised: h = x + add, kept in `sum` where that is asked for.
struct NormRow {
  const float* x;
  const float* add;
  float* sum;
  float* y;
};

WEFT_INLINE NormRow norm_row(const NormRows& io, std::int64_t row) {
  return {io.x + row * io.ldx, io.add ? io.add + row * io.ld_add : nullptr, io.sum ? io.sum + row * io.ld_sum : nullptr,
          io.y + row * io.ldy};
}

/// h the first time, which fills `sum`, and later.
WEFT_INLINE Vec first_look(const NormRow& r, std::int64_t j, std::int64_t n) {
  Vec h = take(r.x + j, n);
  if (r.add) h += take(r.add + j, n);
  if (r.sum) put(r.sum + j, h, n);
  return h;
}
WEFT_INLINE Vec second_look(const NormRow& r, std::int64_t j, std::int64_t n) {
  if (r.sum) return take(r.sum + j, n);
  const Vec h = take(r.x + j, n);
  return r.add ? h + take(r.add + j, n) : h;
}

static void rms_norm_row(const NormRows& io, std::int64_t row, const float* weight, float offset, float eps) {
  const NormRow r = norm_row(io, row);
  Vec squares[4] = {};
  over_vectors(
      io.cols, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        const Vec h = first_look(r, j, n);
        squares[j / kLanes % 4] += h * h;
      });
  const float mean = sum_of((squares[0] + squares[1]) + (squares[2] + squares[3])) / static_cast<float>(io.cols);
  const float scale = 1.0f / __builtin_sqrtf(mean + eps);
  over_vectors(
      io.cols, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        const Vec v = second_look(r, j, n) * scale;
        put(r.y + j, weight ? v * (take(weight + j, n) + offset) : v, n);
      });
}

static void layer_norm_row(const NormRows& io, std::int64_t row, const float* weight, const float* bias, float eps) {
  const NormRow r = norm_row(io, row);
  Vec total[4] = {}, squares[4] = {};
  over_vectors(
      io.cols, [&](std::int64_t j, std::int64_t n)
                   __attribute__((always_inline)) { total[j / kLanes % 4] += first_look(r, j, n); });
  const float mean = sum_of((total[0] + total[1]) + (total[2] + total[3])) / static_cast<float>(io.cols);
  over_vectors(
      io.cols, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        Vec d = second_look(r, j, n) - mean;
        if (n < kLanes) d = load_part(reinterpret_cast<const float*>(&d), n);
        squares[j / kLanes % 4] += d * d;
      });
  const float variance = sum_of((squares[0] + squares[1]) + (squares[2] + squares[3])) / static_cast<float>(io.cols);
  const float scale = 1.0f / __builtin_sqrtf(variance + eps);
  over_vectors(
      io.cols, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        Vec v = (second_look(r, j, n) - mean) * scale;
        if (weight) v = v * take(weight + j, n);
        put(r.y + j, bias ? v + take(bias + j, n) : v, n);
      });
}

template <Activation F>
WEFT_INLINE Vec activation_of(Vec x) {
  if constexpr (F == Activation::kRelu) return x < Vec{} ? Vec{} : x;
  if constexpr (F == Activation::kSilu) return x / (exp(-x) + 1.0f);
  if constexpr (F == Activation::kGelu) {
    const Vec tail = normal_tail(magnitude(x));
    return x * (x < Vec{} ? tail : splat(1.0f) - tail);
  }
  // (1 + tanh s) / 2 = σ(2 s); √(2/π) = 0.79788456
  if constexpr (F == Activation::kGeluTanh) return x / (exp((x + x * x * x * 0.044715f) * -1.5957691216f) + 1.0f);
  if constexpr (F == Activation::kGeluQuick) return x / (exp(x * -1.702f) + 1.0f);
  if constexpr (F == Activation::kTanh) return tanh(x);
  return x;
}

template <Activation F>
static void activate_as(const float* x, const float* up, float* y, std::int64_t n) {
  over_vectors(
      n, [&](std::int64_t j, std::int64_t lanes) __attribute__((always_inline)) {
        const Vec v = activation_of<F>(take(x + j, lanes));
        put(y + j, up ? v * take(up + j, lanes) : v, lanes);
      });
}

static void activate_row(const float* x, const float* up, float* y, std::int64_t n, Activation f) {
  switch (f) {
    case Activation::kIdentity: return activate_as<Activation::kIdentity>(x, up, y, n);
    case Activation::kRelu: return activate_as<Activation::kRelu>(x, up, y, n);
    case Activation::kSilu: return activate_as<Activation::kSilu>(x, up, y, n);
    case Activation::kGelu: return activate_as<Activation::kGelu>(x, up, y, n);
    case Activation::kGeluTanh: return activate_as<Activation::kGeluTanh>(x, up, y, n);
    case Activation::kGeluQuick: return activate_as<Activation::kGeluQuick>(x, up, y, n);
    case Activation::kTanh: return activate_as<Activation::kTanh>(x, up, y, n);
  }
}

static void rotate_halves(float* x, const float* cos, const float* sin, std::int64_t half) {
  over_vectors(
      half, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        const Vec a = take(x + j, n), b = take(x + half + j, n), c = take(cos + j, n), s = take(sin + j, n);
        put(x + j, a * c - b * s, n);
        put(x + half + j, b * c + a * s, n);
      });
}

static void rotate_pairs(float* x, const float* cos, const float* sin, std::int64_t half) {
  for (std::int64_t j = 0; j < half; ++j) {
    const float a = x[2 * j], b = x[2 * j + 1];
    x[2 * j] = a * cos[j] - b * sin[j];
    x[2 * j + 1] = b * cos[j] + a * sin[j];
  }
}

static void rotate_row(float* x, std::int64_t heads, std::int64_t head, const float* cos, const float* sin,
                       std::int64_t dim, bool interleaved) {
  for (std::int64_t h = 0; h < heads; ++h)
    (interleaved ? rotate_pairs : rotate_halves)(x + h * head, cos, sin, dim / 2);
}

static void add_row(const float* x, float* y, std::int64_t n) {
  over_vectors(
      n, [&](std::int64_t j, std::int64_t lanes)
             __attribute__((always_inline)) { put(y + j, take(y + j, lanes) + take(x + j, lanes), lanes); });
}

static void exponential_row(const float* x, float* y, std::int64_t n) {
  over_vectors(
      n, [&](std::int64_t j, std::int64_t lanes)
             __attribute__((always_inline)) { put(y + j, exp(take(x + j, lanes)), lanes); });
}

static constexpr RowKernels make_table(const char* name) {
  return RowKernels{rms_norm_row, layer_norm_row, activate_row, rotate_row, add_row, exponential_row, name};
}
